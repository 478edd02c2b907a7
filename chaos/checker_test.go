package chaos_test

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// onItsWay is true while work is pending: a job is due, or an idempotency record is not closed.
const onItsWay = `
	SELECT EXISTS (
		SELECT FROM thaw.river_job AS j
		WHERE j.state IN ('available', 'pending', 'running', 'retryable')
			OR (j.state = 'scheduled' AND j.scheduled_at < now() + interval '1 second'))
	OR EXISTS (SELECT FROM thaw.heals AS h WHERE h.status = 'running')
	OR EXISTS (SELECT FROM thaw.sweeps AS s WHERE s.finished_at IS NULL)
	OR EXISTS (SELECT FROM thaw.allocations AS g WHERE g.finished_at IS NULL)`

// settled waits until no work is pending.
func (s *scenario) settled() {
	s.Helper()
	s.until(scale(time.Minute, 5*time.Minute), "SELECT NOT ("+onItsWay+")")
}

// checker ends a scenario. It waits until no work is pending and requires that nothing was lost
// according to the scenario (lost returns what is missing, or "" if nothing is), the invariant
// checker, and thaw verify. lost may be nil.
func (s *scenario) checker(lost func() string) {
	s.Helper()
	s.settled()
	if lost != nil {
		require.Empty(s, lost(), "lost")
	}
	s.closing.rows = value[int64](s, "SELECT count(*) FROM thaw.enrollments")
	require.Empty(s, s.records(), "violated invariants")
	verify := s.command(launch{program: s.verifier, command: "verify", options: []string{"--json"}})
	report, err := verify.Output()
	require.NoError(s, err, "thaw verify: %s", report)
	s.closing.lost = "nothing"
}

//go:embed invariants/*.sql
var checkFiles embed.FS

// records returns the violated invariants in one snapshot. Each file in invariants/ selects a text
// per violation. The rules are written independently of those of thaw verify.
func (s *scenario) records() (wrong []string) {
	s.Helper()
	names, err := fs.Glob(checkFiles, "invariants/*.sql")
	require.NoError(s, err)
	err = pgx.BeginTxFunc(s.Context(), s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, name := range names {
			query, err := checkFiles.ReadFile(name)
			if err != nil {
				return err
			}
			found, err := violations(s.Context(), tx, string(query))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if len(found) > 0 {
				wrong = append(wrong, fmt.Sprintf("%s: %s", strings.TrimSuffix(path.Base(name), ".sql"), strings.Join(found, "; ")))
			}
		}
		return nil
	})
	require.NoError(s, err)
	return wrong
}

func violations(ctx context.Context, tx pgx.Tx, query string) ([]string, error) {
	rows, err := tx.Query(ctx, "SELECT found.violation FROM ("+query+") AS found (violation) LIMIT 5")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
