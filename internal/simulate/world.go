package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/localpg"
	"github.com/thawline/thaw/schema"
)

const databaseName = "thaw_simulation"

// A world is the database of a simulation, with a clock that the driver moves.
type world struct {
	server *localpg.Server
	pool   *pgxpool.Pool
	url    string
}

// replaced are the functions of the database that the simulation replaces: the clock, and the
// draws. A draw depends on the seed and on what it is for, so that the order in which processes act
// at one time does not matter.
const replaced = `
CREATE SCHEMA thaw_simulation;
CREATE TABLE thaw_simulation.clock (at timestamptz NOT NULL);
INSERT INTO thaw_simulation.clock VALUES ('%s');
CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT clock.at FROM thaw_simulation.clock);
CREATE OR REPLACE FUNCTION thaw.draw(p_key text) RETURNS double precision LANGUAGE sql VOLATILE
RETURN (hashtextextended(p_key, %d) & 1048575) / 1048576.0;
CREATE OR REPLACE FUNCTION thaw.spread(i bigint, n bigint, jitter interval) RETURNS interval LANGUAGE sql VOLATILE
RETURN jitter * ((spread.i - 0.5) / spread.n);`

func newWorld(ctx context.Context, seed uint64) (w *world, err error) {
	server, err := localpg.Start(ctx, localpg.Options{
		Settings: map[string]string{"shared_buffers": "512MB", "max_wal_size": "2GB", "max_connections": "100", "autovacuum_naptime": "15s"},
	})
	if err != nil {
		return nil, fmt.Errorf("starting postgres: %w", err)
	}
	w = &world{server: server, url: server.URL(databaseName)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	admin, err := pgx.Connect(ctx, server.URL(""))
	if err != nil {
		return nil, err
	}
	_, err = admin.Exec(ctx, "CREATE DATABASE "+databaseName)
	if err = errors.Join(err, admin.Close(ctx)); err != nil {
		return nil, err
	}
	if w.pool, err = pgxpool.New(ctx, w.url); err != nil {
		return nil, err
	}
	migrator, err := schema.NewMigrator(w.pool, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	_, err = migrator.Up(ctx)
	if err = errors.Join(err, migrator.Close()); err != nil {
		return nil, fmt.Errorf("migrating: %w", err)
	}
	// The clock and the draws change the plans of open sessions, so this comes first.
	_, err = w.pool.Exec(ctx, fmt.Sprintf(replaced, start.Format(time.RFC3339), int64(seed>>1)), pgx.QueryExecModeSimpleProtocol)
	return w, err
}

func (w *world) close() error {
	if w.pool != nil {
		w.pool.Close()
	}
	return w.server.Close()
}

func (w *world) exec(ctx context.Context, sql string, args ...any) error {
	_, err := w.pool.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("%.80s: %w", sql, err)
	}
	return nil
}

func value[T any](ctx context.Context, w *world, sql string, args ...any) (got T, err error) {
	if err = w.pool.QueryRow(ctx, sql, args...).Scan(&got); err != nil {
		err = fmt.Errorf("%.80s: %w", sql, err)
	}
	return got, err
}

// fill writes the fleet: workspaces, two campaigns of three steps and two of second enrollments
// each, accounts and prospects.
func (w *world) fill(ctx context.Context, s *scenario) error {
	if err := w.exec(ctx, `
		INSERT INTO thaw.workspaces (key) SELECT 'workspace-' || n FROM generate_series(0, $1 - 1) AS n ORDER BY n`, workspaces); err != nil {
		return err
	}
	if err := w.exec(ctx, `
		INSERT INTO thaw.campaigns (workspace_id, key, status)
		SELECT w.id, 'campaign-' || w.id || '-' || n, 'running' FROM thaw.workspaces AS w, generate_series(1, 2) AS n ORDER BY w.id, n`); err != nil {
		return err
	}
	for position, step := range campaignSteps {
		if err := w.exec(ctx, `
			INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay) SELECT c.id, $1, $2, $3 FROM thaw.campaigns AS c`,
			position, step.kind, step.delay); err != nil {
			return err
		}
	}
	for _, campaign := range slices.Sorted(maps.Keys(secondSteps)) {
		if err := w.exec(ctx, `
			INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT w.id, $1 || '-' || w.id, 'running' FROM thaw.workspaces AS w ORDER BY w.id`,
			campaign); err != nil {
			return err
		}
		for position, step := range secondSteps[campaign] {
			if err := w.exec(ctx, `
				INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay)
				SELECT c.id, $2, $3, $4 FROM thaw.campaigns AS c WHERE c.key = $1 || '-' || c.workspace_id`,
				campaign, position, step.kind, step.delay); err != nil {
				return err
			}
		}
	}
	if err := w.exec(ctx, `
		INSERT INTO thaw.sending_windows (workspace_id, weekdays, opens, closes)
		SELECT w.id, '{1,2,3,4,5,6,7}', '22:00', '04:00' FROM thaw.workspaces AS w WHERE w.key = 'workspace-' || $1::integer`, nightWorkspace); err != nil {
		return err
	}
	var accounts, senders [][]any
	for _, p := range s.people {
		for i, account := range p.accounts {
			accounts = append(accounts, []any{(p.workspace+i)%workspaces + 1, account, p.member, "connected", p.zone, p.tier})
		}
		if !p.rampStarted.IsZero() {
			senders = append(senders, []any{"linkedin", "member:" + p.member, p.rampStarted, start.Add(-time.Hour)})
		}
	}
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE new_accounts (n serial, workspace_id bigint, account text, member text, status text, zone text, tier text) ON COMMIT DROP`); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"new_accounts"}, []string{"workspace_id", "account", "member", "status", "zone", "tier"}, pgx.CopyFromRows(accounts)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier)
		SELECT a.workspace_id, a.account, a.member, a.status::thaw.account_status, a.zone, a.tier::thaw.account_tier FROM new_accounts AS a ORDER BY a.n`); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"thaw", "senders"}, []string{"provider", "key", "ramp_started_at", "last_sent_at"}, pgx.CopyFromRows(senders)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE new_prospects (n serial, account text, to_id text, due timestamptz) ON COMMIT DROP"); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"new_prospects"}, []string{"account", "to_id", "due"},
		pgx.CopyFromSlice(len(s.prospects), func(i int) ([]any, error) {
			return []any{s.prospects[i].account, s.prospects[i].to, s.prospects[i].due}, nil
		})); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT a.workspace_id, a.workspace_id * 2 - n % 2, a.id, 'active', p.due, $1 || p.to_id
		FROM new_prospects AS p JOIN thaw.accounts AS a ON a.provider_account_id = p.account
		ORDER BY p.n`, urlPrefix); err != nil {
		return err
	}
	for _, again := range s.seconds {
		if _, err := tx.Exec(ctx, enrollAgain, again.url, again.account, again.campaign, again.due); err != nil {
			return err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return w.exec(ctx, "ANALYZE")
}

// enrollAgain enrolls a prospect in a campaign of the workspace of an account.
const enrollAgain = `
	INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
	SELECT a.workspace_id, c.id, a.id, 'active', $4, $1
	FROM thaw.accounts AS a
	JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id AND c.key = $3 || '-' || a.workspace_id
	WHERE a.provider_account_id = $2`
