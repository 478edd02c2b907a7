package bench

import "context"

// A benchmark is one kind of work.
type benchmark interface {
	about() About
	// load fills the migrated, empty database that each round copies, with a share of the work for
	// each variant.
	load(ctx context.Context, r *rig, db *database) error
	// variants returns all variants, in the same order on every call.
	variants(r *rig) []variant
}

// About describes what a benchmark measures.
type About struct {
	// Name is the benchmark's name on the command line.
	Name string `json:"name"`
	// Work describes the work, and Baseline the baseline.
	Work     string `json:"work"`
	Baseline string `json:"baseline"`
	// Metrics are the benchmark's metrics, the most important one first.
	Metrics []Metric `json:"metrics"`

	// keeps runs all rounds on one database, one after another.
	keeps bool
	// maxRounds is the maximum number of rounds. 0 means no maximum.
	maxRounds int
	// databases are the names of additional databases that load creates. They are dropped together
	// with its own.
	databases []string
	// withPeers includes other job queues, if they are installed.
	withPeers bool
}

// A Metric is one number that is measured for a variant.
type Metric struct {
	Name string `json:"name"`
	// Unit is the unit of the number; table.go formats it.
	Unit Unit `json:"unit"`
	// MoreIsBetter is true for rates.
	MoreIsBetter bool `json:"more_is_better,omitempty"`
	// Ratio is the target as a multiple of the baseline: a maximum, or a minimum if more is better.
	// 0 means no target.
	Ratio float64 `json:"target_ratio,omitempty"`
	// Limit is the target as a number in the unit that no round may exceed. 0 means no target.
	Limit float64 `json:"target_limit,omitempty"`
}

// A Unit of measurement.
type Unit string

// The units. Times are stored in seconds.
const (
	Seconds   Unit = "s"
	Millis    Unit = "ms"
	PerSecond Unit = "/s"
	MiB       Unit = "MiB"
	Bytes     Unit = "B"
	Percent   Unit = "%"
	// BytesPerRow is bytes per changed enrollment.
	BytesPerRow Unit = "B/row"
	Count       Unit = ""
)

// A Role is the role of a variant in the comparison.
type Role string

// Roles of variants.
const (
	Baseline Role = "baseline"
	Thaw     Role = "thaw"
	Peer     Role = "peer"
)

// A variant is one way to do the work of a benchmark.
type variant struct {
	Name string
	Role Role
	// run does the variant's share of the work once and checks the result. place is the variant's
	// index.
	run func(ctx context.Context, db *database, place int) (sample, error)
}

// A sample has a value for each metric that applies to the variant, in the metric's unit.
type sample map[string]float64

// memory is the metric of every benchmark that runs a thaw process: its peak resident memory.
var memory = Metric{Name: "peak memory", Unit: MiB, Limit: 96}

// A gaveUpError is returned by a variant that timed out. For other job queues this is a result, not
// an error.
type gaveUpError struct{ how string }

func (g *gaveUpError) Error() string { return "timed out: " + g.how }
