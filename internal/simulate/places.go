package simulate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/providersim"
)

// A key is that of an enrollment: no prospect is in a campaign twice.
type key struct{ url, campaign string }

// A place is where the enrollment of a prospect is: how many steps are done, and whether it goes
// on, is completed or failed.
type place struct {
	step   int
	status string
}

const goesOn, completed, failed = "goes on", "completed", "failed"

// places returns where the enrollments are by the tables of Thaw.
func (d *driver) places(ctx context.Context) (map[key]place, error) {
	rows, err := d.world.pool.Query(ctx, `
		SELECT e.prospect_url, split_part(c.key, '-', 1), e.step, CASE WHEN e.status IN ('active', 'paused') THEN $1 ELSE e.status::text END
		FROM thaw.enrollments AS e JOIN thaw.campaigns AS c ON c.id = e.campaign_id`, goesOn)
	if err != nil {
		return nil, err
	}
	all := map[key]place{}
	var of key
	var is place
	_, err = pgx.ForEachRow(rows, []any{&of.url, &of.campaign, &is.step, &is.status}, func() error {
		all[of] = is
		return nil
	})
	return all, err
}

// checkPlaces notes the prospects that are lost: there is no enrollment, or it is not where the
// requests in the log have brought it.
func (d *driver) checkPlaces(log []providersim.Entry, is map[key]place, found findings) {
	isDone, isRefused := map[deed]bool{}, map[deed]bool{} // by prospect
	for _, e := range log {
		step := deed{e.Kind, prospectOf(e.To)}
		if _, done := d.doneAt(e); done {
			isDone[step] = true
		}
		if d.effectOf(e) == refused {
			isRefused[step] = true
		}
	}
	enrollments := d.enrollments()
	for _, prospect := range slices.Sorted(maps.Keys(enrollments)) {
		all := enrollments[prospect]
		for _, n := range all {
			var may []place
			step := 0
			for ; step < len(n.steps); step++ {
				it := deed{n.steps[step].kind, prospect}
				// An invite may be that of the other enrollment.
				isUnclear := it.kind == "invite" && len(all) > 1
				if isRefused[it] && (isUnclear || !isDone[it]) {
					may = append(may, place{step, failed})
				}
				if isUnclear || !isRefused[it] && !isDone[it] {
					may = append(may, place{step, goesOn})
				}
				if !isDone[it] {
					break
				}
			}
			if step == len(n.steps) {
				may = append(may, place{step, completed})
			}
			at, isThere := is[n.key]
			if !isThere {
				found.note(gone, 1, fmt.Sprintf("%s in campaign %s is missing", n.url, n.campaign))
			} else if !slices.Contains(may, at) {
				found.note(gone, 1, fmt.Sprintf("%s in campaign %s is %s, and by the requests %s", n.url, n.campaign, at, describePlaces(may)))
			}
		}
	}
}

func (p place) String() string { return fmt.Sprintf("at step %d and %s", p.step, p.status) }

func describePlaces(all []place) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ", or ")
}
