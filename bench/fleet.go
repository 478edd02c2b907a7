package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// A fleet describes what a benchmark loads: a number of uniform accounts, each with a number of
// uniform enrollments.
type fleet struct {
	accounts  int
	rows      int
	status    string // of the accounts
	paused    bool   // enrollments are paused and wait for their account; otherwise active
	history   bool   // paused enrollments have a pause event
	oneTeam   bool   // all accounts belong to one workspace and share its campaigns
	campaigns int    // campaigns per workspace; 0 means teamCampaigns
}

const (
	// teamSize is how many accounts a workspace has. The IDs of its accounts are not consecutive.
	teamSize = 10
	// teamCampaigns is how many campaigns the prospects of an account are spread over.
	teamCampaigns = 3
	// loadRows is approximately how many enrollments one statement loads.
	loadRows = 200_000
)

// add loads a fleet in addition to existing ones. Account IDs are consecutive and continue those of
// earlier fleets.
func (db *database) add(ctx context.Context, f fleet) error {
	before, err := db.number(ctx, "SELECT coalesce(max(id), 0) FROM thaw.accounts")
	if err != nil {
		return err
	}
	s := share{before + 1, f.accounts}
	teams := (f.accounts + teamSize - 1) / teamSize
	if f.oneTeam {
		teams = 1
	}
	if f.campaigns == 0 {
		f.campaigns = teamCampaigns
	}
	if err := db.run(ctx, `
		INSERT INTO thaw.workspaces (key) SELECT format('workspace-%s-%s', $1::bigint, i) FROM generate_series(1, $2::integer) AS i`,
		s.first, teams); err != nil {
		return fmt.Errorf("workspaces: %w", err)
	}
	if err := db.run(ctx, `
		INSERT INTO thaw.campaigns (workspace_id, key, name, status)
		SELECT w.id, 'campaign-' || i, 'Campaign ' || i, 'running'
		FROM thaw.workspaces AS w, generate_series(1, $2::integer) AS i
		WHERE w.key LIKE format('workspace-%s-%%', $1::bigint)
		ORDER BY w.id, i`, s.first, f.campaigns); err != nil {
		return fmt.Errorf("campaigns: %w", err)
	}
	if err := db.run(ctx, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, status_at, connected_at)
		SELECT w.id, 'account-' || ($1 + i), 'member-' || ($1 + i), $4::thaw.account_status,
			thaw.now() - interval '2 days', thaw.now() - interval '2 days'
		FROM generate_series(0, $2::bigint - 1) AS i
		JOIN thaw.workspaces AS w ON w.key = format('workspace-%s-%s', $1::bigint, 1 + i % $3::integer)
		ORDER BY i`, s.first, f.accounts, teams, f.status); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}

	group, loading := errgroup.WithContext(ctx)
	group.SetLimit(2)
	step := max(1, loadRows/f.rows)
	for first := s.first; first <= s.last(); first += int64(step) {
		group.Go(func() error {
			return db.addEnrollments(loading, f, first, min(first+int64(step)-1, s.last()))
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// The load bypassed the triggers that count rows.
	if err := db.run(ctx, "SELECT thaw.recount()"); err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	return db.run(ctx, "SELECT thaw.fold_counts(2147483647)")
}

// addEnrollments loads the enrollments of the accounts first to last. Foreign keys are valid by
// construction and are not checked row by row, as in the restore of a dump.
func (db *database) addEnrollments(ctx context.Context, f fleet, first, last int64) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO thaw.enrollments (
				workspace_id, campaign_id, account_id, step, status, paused_reason, paused_at, next_action_at, prospect_url)
			SELECT a.workspace_id, team.campaigns[1 + i % cardinality(team.campaigns)], a.id, i % 5,
				CASE WHEN $4 THEN 'paused' ELSE 'active' END::thaw.enrollment_status,
				CASE WHEN $4 THEN 'account_disconnected'::thaw.pause_reason END,
				CASE WHEN $4 THEN thaw.now() - interval '1 day' + i * interval '1 millisecond' END,
				thaw.now() - interval '12 hours',
				format('https://www.linkedin.com/in/prospect-%s-%s', a.id, i)
			FROM thaw.accounts AS a
			CROSS JOIN LATERAL (
				SELECT array_agg(c.id ORDER BY c.id) AS campaigns FROM thaw.campaigns AS c WHERE c.workspace_id = a.workspace_id) AS team
			CROSS JOIN generate_series(1, $3::integer) AS i
			WHERE a.id BETWEEN $1 AND $2`, first, last, f.rows, f.paused); err != nil {
			return fmt.Errorf("enrollments: %w", err)
		}
		if !f.history {
			return nil
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO thaw.enrollment_events (
				enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
			SELECT e.id, e.paused_at, e.account_id, e.account_id, e.step, 'paused', 'import', 'active', 'paused', e.paused_reason,
				e.paused_at
			FROM thaw.enrollments AS e
			WHERE e.account_id BETWEEN $1 AND $2 AND e.status = 'paused'
			ORDER BY e.id`, first, last)
		return err
	})
}
