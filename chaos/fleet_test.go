package chaos_test

import (
	"fmt"

	"github.com/stretchr/testify/require"
)

// fleet inserts connected accounts with paused prospects, as if the provider's connect signals had
// been lost. Sweeps and heals can resume them immediately, and so can signals. It returns the
// account IDs.
func (s *scenario) fleet(accounts, prospects int) []int64 {
	s.Helper()
	ids := s.disconnectedFleet(accounts, prospects)
	s.connect(ids...)
	return ids
}

// connect updates accounts to connected without a signal, as the platform does when it learns that
// accounts reconnected.
func (s *scenario) connect(ids ...int64) {
	s.Helper()
	s.exec("UPDATE thaw.accounts SET status = 'connected', last_error = NULL WHERE id = ANY ($1)", ids)
}

// disconnectedFleet inserts accounts with active prospects and disconnects all of them by signals,
// so that the product's own functions pause their prospects and campaigns. It records the steps for
// the invariant checker. Five accounts share a workspace. A third of an account's prospects are in
// a campaign of the whole workspace, the rest in the account's own campaign.
func (s *scenario) disconnectedFleet(accounts, prospects int) []int64 {
	s.Helper()
	// Losing a whole fleet at once would otherwise trigger safety mode.
	s.exec("UPDATE thaw.settings SET safety_accounts = 1000000, flap_limit = 0")
	ids := column[int64](s, insertFleet, accounts, prospects)
	require.Len(s, ids, accounts)
	s.remember()
	s.exec("ANALYZE thaw.accounts, thaw.campaigns, thaw.enrollments")
	s.exec(disconnect)
	s.exec("VACUUM (ANALYZE) thaw.enrollments")
	return ids
}

// account returns the provider account ID of a fleet's account.
func account(id int64) string { return fmt.Sprintf("acc_%d", id) }

// remember records step and status of every new enrollment for the invariant checker.
func (s *scenario) remember() {
	s.Helper()
	s.exec("INSERT INTO thaw_test.start SELECT e.id, e.step, e.status FROM thaw.enrollments AS e ON CONFLICT DO NOTHING")
}

// paused counts the prospects that wait for their account.
func (s *scenario) paused() int {
	s.Helper()
	return value[int](s, "SELECT count(*) FROM thaw.enrollments WHERE waits_for_account")
}

const insertFleet = `
	WITH fresh AS MATERIALIZED (
		SELECT nextval(pg_get_serial_sequence('thaw.accounts', 'id')) AS id, (i - 1) / 5 + (SELECT count(*) FROM thaw.workspaces) AS w
		FROM generate_series(1, $1::integer) AS i
	), workspace AS (
		INSERT INTO thaw.workspaces (key) SELECT DISTINCT 'w' || fresh.w FROM fresh
		RETURNING id, key
	), account AS (
		INSERT INTO thaw.accounts (id, workspace_id, provider_account_id, status, connected_at)
		OVERRIDING SYSTEM VALUE
		SELECT fresh.id, workspace.id, 'acc_' || fresh.id, 'connected', thaw.now() - interval '1 day'
		FROM fresh JOIN workspace ON workspace.key = 'w' || fresh.w
		RETURNING id, workspace_id
	), own AS (
		INSERT INTO thaw.campaigns (workspace_id, key, status)
		SELECT account.workspace_id, 'of acc_' || account.id, 'running' FROM account
		RETURNING id, workspace_id, key
	), shared AS (
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT workspace.id, 'shared', 'running' FROM workspace
		RETURNING id, workspace_id
	), prospect AS (
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, step)
		SELECT account.workspace_id, CASE WHEN i % 3 = 0 THEN shared.id ELSE own.id END, account.id,
			format('https://www.linkedin.com/in/%s-%s', account.id, i), 'active', i % 7
		FROM account
		JOIN own ON own.key = 'of acc_' || account.id
		JOIN shared ON shared.workspace_id = account.workspace_id
		CROSS JOIN generate_series(1, $2::integer) AS i
	)
	SELECT account.id FROM account ORDER BY account.id`

// disconnect disconnects every connected account of the fleet that has only active prospects, and
// runs the pause jobs in place of a worker.
const disconnect = `
	DO $$
	DECLARE
		seat  record;
		batch record;
		first bigint := (SELECT coalesce(max(s.id), 0) + 1 FROM thaw.account_signals AS s);
	BEGIN
		PERFORM thaw.signal(a.provider, a.provider_account_id, 'disconnected')
		FROM (SELECT * FROM thaw.accounts WHERE status = 'connected' ORDER BY id) AS a
		WHERE EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = a.id AND e.status = 'active')
			AND NOT EXISTS (SELECT FROM thaw.account_signals AS s WHERE s.account_id = a.id);
		FOR seat IN
			SELECT j.id AS job_id, (j.args ->> 'account_id')::bigint AS account_id, (j.args ->> 'signal_id')::bigint AS signal_id
			FROM thaw.river_job AS j WHERE j.kind = 'pause_account' AND j.state = 'available' AND (j.args ->> 'signal_id')::bigint >= first
			ORDER BY 2
		LOOP
			LOOP
				SELECT * INTO batch FROM thaw.pause_batch(seat.account_id, 1000000, seat.signal_id, NULL, seat.job_id);
				EXIT WHEN batch.verdict <> 'more';
			END LOOP;
			UPDATE thaw.river_job SET state = 'completed', attempt = 1, attempted_at = now(), finalized_at = now() WHERE id = seat.job_id;
		END LOOP;
	END;
	$$`
