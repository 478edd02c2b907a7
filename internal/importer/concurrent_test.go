package importer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// An import that locked campaigns or enrollments before accounts would deadlock with the pass.
func TestImportWaitsForAResumePass(t *testing.T) {
	t.Parallel()
	const resumed, pausedAgain = "resumed paused -> active", "paused active -> paused"
	for name, c := range map[string]struct {
		account   string
		overwrite bool
		// history has the events of the prospect. The import must see that the pass resumed it.
		history      []string
		resumedSince int64
	}{
		"of the account":                 {"seat-1", false, []string{resumed}, 1},
		"of its sibling":                 {"seat-2", false, []string{resumed}, 1},
		"of the account, and overwrites": {"seat-1", true, []string{resumed, pausedAgain}, 0},
		"of its sibling, and overwrites": {"seat-2", true, []string{resumed, pausedAgain}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			campaign := fields{"campaign_status": "paused", "campaign_paused_reason": "account_disconnected"}
			stuck := waiting(prospect("ada")).with("account_status", "disconnected")
			for column, value := range campaign {
				stuck = stuck.with(column, value)
			}
			load(t, db, file(stuck, campaign.with("account", "seat-2").with("account_status", "disconnected").with("prospect_url", prospect("bob"))))
			require.Equal(t, "applied", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', $1, 'connected')", c.account))

			pass, err := db.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = pass.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = pass.Exec(t.Context(), "SELECT FROM thaw.accounts WHERE provider_account_id = $1 FOR NO KEY UPDATE", c.account)
			require.NoError(t, err)

			// The file has the first account only. In the sibling cases its sibling resumes the
			// prospects.
			var result importer.Result
			imported := make(chan error, 1)
			go func() {
				var err error
				result, err = importer.Import(t.Context(), db.Pool, strings.NewReader(file(
					waiting(prospect("ada")).with("account_status", "disconnected"))), importer.Options{Overwrite: c.overwrite})
				imported <- err
			}()
			waitUntilBlocked(t, db)

			var count int
			require.NoError(t, pass.QueryRow(t.Context(), `
				SELECT r.resumed
				FROM thaw.account_signals AS s, thaw.resume_pass('signal', s.account_id, 1, p_signal_id => s.id) AS r`).Scan(&count))
			require.Equal(t, 1, count)
			require.NoError(t, pass.Commit(t.Context()))
			require.NoError(t, <-imported)

			// The pass resumed the prospect first. The import saw this: it kept the prospect, or
			// with overwrite it paused an active one.
			require.Equal(t, c.resumedSince, result.ResumedSince)
			require.Equal(t, c.history,
				testdb.Column[string](t, db, `
					SELECT format('%s %s -> %s', kind, from_status, to_status) FROM thaw.history
					WHERE prospect_url LIKE '%/ada' AND kind <> 'moved' ORDER BY event_id`))
		})
	}
}

// Runs two imports of the same rows, passes and pauses on all accounts, and signals concurrently.
func TestImportsPassesAndSignalsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	const accounts, prospects = 8, 160
	rounds := testdb.Size(2, 12)
	db := testdb.New(t)
	fleet := func(reverse bool, state func(prospect int) fields) string {
		lines := make([]fields, 0, prospects)
		for i := range prospects {
			if reverse {
				i = prospects - 1 - i
			}
			lines = append(lines, state(i).
				with("account", fmt.Sprint("seat-", i%accounts)).with("member", fmt.Sprint("member-", i%accounts/2)).
				with("campaign", fmt.Sprint("campaign-", i%3)).with("prospect_url", prospect(fmt.Sprint("p", i))))
		}
		return file(lines...)
	}
	paused := fleet(false, func(i int) fields { return waiting("") })
	active := fleet(true, func(i int) fields {
		return fields{"account_status": []string{"disconnected", "connected"}[i%accounts%2]}
	})
	load(t, db, paused)

	// Each goes on until both have changed a prospect, however slow the other is.
	met := func() (met bool, err error) {
		err = db.Pool.QueryRow(t.Context(), `
			SELECT count(DISTINCT source) FILTER (WHERE source IN ('signal', 'import')) = 2 FROM thaw.enrollment_events`).Scan(&met)
		return met, err
	}
	var group errgroup.Group
	for _, content := range []string{paused, active} {
		group.Go(func() error {
			return repeat(rounds, met, func(int) error {
				// What changes during an import is newer than its file.
				_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{Overwrite: true})
				return err
			})
		})
	}
	for worker := range 4 {
		group.Go(func() error {
			return repeat(rounds, met, func(round int) error {
				for i := range accounts {
					i += round * accounts
					account := fmt.Sprint("seat-", (i*(1+2*worker))%accounts)
					if err := flap(t.Context(), db, account, i%2 == 0); err != nil {
						return fmt.Errorf("signal and pass of %s: %w", account, err)
					}
				}
				return nil
			})
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, prospects, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"))
	require.NotZero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events WHERE source = 'signal'"), "passes resumed or paused prospects")
	require.NotZero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events WHERE source = 'import'"), "imports changed prospects")
}

// repeat does something at least a number of times, and then until a condition is met, at most 50
// times as often.
func repeat(rounds int, met func() (bool, error), do func(round int) error) error {
	for round := range 50 * rounds {
		if round >= rounds {
			if isMet, err := met(); err != nil || isMet {
				return err
			}
		}
		if err := do(round); err != nil {
			return err
		}
	}
	return nil
}

// flap sends a signal for an account and runs the resulting job, each in its own transaction.
func flap(ctx context.Context, db *testdb.DB, account string, connected bool) error {
	status, job := "disconnected", "SELECT FROM thaw.pause_batch($1, 100, $2, NULL, 1)"
	if connected {
		status, job = "connected", "SELECT FROM thaw.resume_pass('signal', $1, 1, p_signal_id => $2)"
	}
	if _, err := db.Pool.Exec(ctx, "SELECT thaw.signal('linkedin', $1, $2)", account, status); err != nil {
		return err
	}
	var accountID, signalID int64
	err := db.Pool.QueryRow(ctx, `
		SELECT account_id, id FROM thaw.account_signals
		WHERE provider = 'linkedin' AND provider_account_id = $1 ORDER BY id DESC LIMIT 1`, account).Scan(&accountID, &signalID)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, job, accountID, signalID)
		return err
	})
}
