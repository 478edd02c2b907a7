package bench

import "context"

// A benchmark is one kind of work.
type benchmark interface {
	about() About
	// load fills the migrated, empty database from which each round gets its copy: a share of the work for each variant.
	load(ctx context.Context, r *rig, db *database) error
	// variants returns all that take part, in the same order at each call.
	variants(r *rig) []variant
}

// About says what a benchmark measures.
type About struct {
	// Name is what it is called on the command line.
	Name string `json:"name"`
	// Work is what is done, and Floor what it is compared with.
	Work  string `json:"work"`
	Floor string `json:"floor"`
	// Metrics are what is measured of it, the most important one first.
	Metrics []Metric `json:"metrics"`

	// keeps lets all rounds work on one database, one after the other.
	keeps bool
	// maxRounds is how many rounds it has at most. 0: as many as asked for.
	maxRounds int
	// databases are the names of those that load makes beside the one that it is given. They are dropped with it.
	databases []string
	// withPeers says that other job queues take part, where they can.
	withPeers bool
}

// A Metric is one number that is measured of a variant.
type Metric struct {
	Name string `json:"name"`
	// Unit is one of those that table.go can write.
	Unit Unit `json:"unit"`
	// MoreIsBetter is true of rates.
	MoreIsBetter bool `json:"more_is_better,omitempty"`
	// Ratio is the target as a multiple of the floor: at most that, or at least that where more is better. 0: none.
	Ratio float64 `json:"target_ratio,omitempty"`
	// Limit is the target as a number of the unit that no round may exceed. 0: none.
	Limit float64 `json:"target_limit,omitempty"`
}

// A Unit of measurement.
type Unit string

// Units. Times are kept in seconds.
const (
	Seconds   Unit = "s"
	Millis    Unit = "ms"
	PerSecond Unit = "/s"
	MiB       Unit = "MiB"
	Bytes     Unit = "B"
	Percent   Unit = "%"
	// BytesPerRow of enrollments that changed.
	BytesPerRow Unit = "B/row"
	Count       Unit = ""
)

// A Role says what a variant is there for.
type Role string

// Roles of variants.
const (
	Floor Role = "floor"
	Thaw  Role = "thaw"
	Peer  Role = "peer"
)

// A variant does the work of a benchmark in its own way.
type variant struct {
	Name string
	Role Role
	// run does the variant's share of the work once, and checks it. place is the variant's among all.
	run func(ctx context.Context, db *database, place int) (sample, error)
}

// A sample has a number for each metric that applies to a variant, in the metric's unit.
type sample map[string]float64

// memory is the metric of every benchmark in which a process of ours works: the most memory that it ever had resident.
var memory = Metric{Name: "peak memory", Unit: MiB, Limit: 96}

// A gaveUpError is the one of a variant that was not done in time. Of other job queues it is a result.
type gaveUpError struct{ how string }

func (g *gaveUpError) Error() string { return "given up: " + g.how }
