package schema_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// oneRowEach inserts a valid row into every table, with id 1. There is also a second, empty
// workspace.
const oneRowEach = `
INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'ann', 'connected');
INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
VALUES (1, 1, 1, 'active', 'https://example.com/in/bob');
INSERT INTO thaw.account_signals (provider, provider_account_id, account_id, delivery_key, raw_status, status, outcome)
VALUES ('linkedin', 'ann', 1, 'first', 'OK', 'connected', 'applied');
INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, planned) VALUES ('2026-01-01', 200, 2000, 1, 10);
INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned) VALUES ('2026-01-01', 1, 1, 10);
INSERT INTO thaw.fleet_quotas (tick_at, lane, cap) VALUES ('2026-01-01', 'sweep', 2000);
INSERT INTO thaw.account_quotas (tick_at, account_id, cap, used) VALUES ('2026-01-01', 1, 200, 0);
INSERT INTO thaw.heals (workspace_id, target, cap, actor) VALUES (1, 'workspace:1', 10, 'support');
INSERT INTO thaw.heal_enrollments (heal_id, last_id, enrollment_ids) VALUES (1, 1, '{1}');
INSERT INTO thaw.heal_order (heal_id, last_place, enrollment_ids) VALUES (1, 1, '{1}');
INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
VALUES (1, '2026-01-01', 0, 'paused', 'signal', 'active', 'paused', 'account_disconnected', '2026-01-01');
INSERT INTO thaw.campaign_events (campaign_id, at, kind, source, from_status, to_status)
VALUES (1, '2026-01-01', 'paused', 'signal', 'running', 'paused');
INSERT INTO thaw.backlog_samples (tick_at, paused, waiting, took) VALUES ('2026-01-01', 2, 1, '1 second');
INSERT INTO thaw.account_events (account_id, at, from_status, to_status) VALUES (1, '2026-01-01', 'connecting', 'connected');
INSERT INTO thaw.manual_actions (what, actor, reason, account_id, until) VALUES ('held', 'ann', 'new device', 1, '2026-01-02');
INSERT INTO thaw.account_products (account_id, product, status, raw_status, status_at, down_since) VALUES (1, 'classic', 'error', 'ERROR', '2026-01-01', '2026-01-01');
INSERT INTO thaw.safety_marks (at, losses, accounts_connected) VALUES ('2026-01-01', 1, 1);
INSERT INTO thaw.signal_gaps (provider, day, longest) VALUES ('linkedin', '2026-01-01', '1 hour');
INSERT INTO thaw.signal_sources (provider, last_signal_at) VALUES ('linkedin', '2026-01-01');
INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com');
INSERT INTO thaw.outbox (message_id, type, account_id, data) VALUES ('msg_1', 'test.ping', 1, '{}');
INSERT INTO thaw.webhook_deliveries (outbox_id, endpoint_id) VALUES (1, 1);
INSERT INTO thaw.paused_counts VALUES (1, 1, 'paused_by_user', false, 1);
INSERT INTO thaw.waiting_totals VALUES (1, 1);
INSERT INTO thaw.workers (client_id, lock_key, pid) VALUES ('worker-1', 1, 1);
INSERT INTO thaw.instance (name, system_identifier, database_name, database_oid, timeline) VALUES ('production', 1, 'platform', 1, 1);
INSERT INTO thaw.forecasts (made_at, content) VALUES (thaw.now(), '');
INSERT INTO thaw.workspace_removals (workspace_id, action_id, found) VALUES (1, 1, 1);
INSERT INTO thaw.account_served VALUES (1, '2026-01-01');
INSERT INTO thaw.workspace_served VALUES (1, '2026-01-01');
INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta) VALUES (1, 1, 'paused_by_user', false, 1);
INSERT INTO thaw.adopt_errors (kind, external_id, change, code, problem) VALUES ('enrollment', '1', '{}', 'unknown_word', 'a word');
INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause) VALUES ('enrollment', 1, 'active', 'signal');
INSERT INTO thaw.api_tokens (workspace_id, name, hash, created_by) VALUES (1, 'portal', sha256('one'), 'support');
INSERT INTO thaw.senders (provider, key) VALUES ('linkedin', 'account:1');
INSERT INTO thaw.sending_accounts (account_id, workspace_id, sender_id) VALUES (1, 1, 1);
INSERT INTO thaw.person_changes (account_id) VALUES (1);
INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, lease_until, local_day, gap, next_of_kind_at)
VALUES (1, 1, 1, 1, 1, 'linkedin', 'https://example.com/in/bob', 0, 'invite', 'sender', '2026-01-01', '2026-01-01', '1 minute', '2026-01-01');
INSERT INTO thaw.action_overrides (workspace_id, account_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 10, 'new', 'jo');
INSERT INTO thaw.action_holds (account_id, kind, until, code, reason, actor) VALUES (1, 'invite', '2026-01-01', 'limited', 'a limit', 'sender');
INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (1, 0, 'invite');
INSERT INTO thaw.nudges (account_id, at) VALUES (1, '2026-01-01');
INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered) VALUES ('2026-01-01', 1, 0, 0);
INSERT INTO thaw.action_hour_changes (hour) VALUES ('2026-01-01');
`

// breaks has, by constraint name, statements that the constraint must reject. Each runs separately.
var breaks = map[string][]string{
	"settings_only_row_check":                 {"INSERT INTO thaw.settings (only_row) VALUES (false)"},
	"scheduler_only_row_check":                {"INSERT INTO thaw.scheduler (only_row) VALUES (false)"},
	"pushing_only_row_check":                  {"INSERT INTO thaw.pushing (only_row) VALUES (false)"},
	"forecasts_only_row_check":                {"INSERT INTO thaw.forecasts (only_row, made_at, content) VALUES (false, thaw.now(), '')"},
	"count_state_only_row_check":              {"INSERT INTO thaw.count_state (only_row) VALUES (false)"},
	"providers_provider_check":                {"INSERT INTO thaw.providers (provider, name, account) VALUES (repeat('x', 257), 'X', 'account')"},
	"providers_name_check":                    {"UPDATE thaw.providers SET name = ''", "UPDATE thaw.providers SET name = repeat('x', 101)"},
	"providers_account_check":                 {"UPDATE thaw.providers SET account = ''", "UPDATE thaw.providers SET account = 'The mailbox'"},
	"provider_words_provider_fkey":            {"INSERT INTO thaw.provider_words (provider, word, means) VALUES ('pigeon', 'x', 'error')"},
	"provider_words_word_check":               {"UPDATE thaw.provider_words SET word = '' WHERE word = 'ok'", "UPDATE thaw.provider_words SET word = E'a\nb' WHERE word = 'ok'"},
	"provider_words_means_check":              {"UPDATE thaw.provider_words SET means = 'offline' WHERE word = 'ok'"},
	"provider_words_says_check":               {"UPDATE thaw.provider_words SET says = ''", "UPDATE thaw.provider_words SET says = repeat('x', 201)"},
	"provider_words_advice_check":             {"UPDATE thaw.provider_words SET advice = 'Wait'", "UPDATE thaw.provider_words SET advice = repeat('x', 400) || '.'"},
	"provider_words_owner_advice_check":       {"UPDATE thaw.provider_words SET owner_advice = 'Wait'", "UPDATE thaw.provider_words SET owner_advice = repeat('x', 400) || '.'"},
	"provider_words_statuses_mean_themselves": {"UPDATE thaw.provider_words SET means = 'connected' WHERE word = 'error'"},
	"settings_account_cap_check":              {"UPDATE thaw.settings SET account_cap = 0", "UPDATE thaw.settings SET account_cap = 1000001"},
	"settings_fleet_cap_check":                {"UPDATE thaw.settings SET fleet_cap = 0", "UPDATE thaw.settings SET fleet_cap = 10000001"},
	"settings_signal_cap_check":               {"UPDATE thaw.settings SET signal_cap = 0", "UPDATE thaw.settings SET signal_cap = 10000001"},
	"settings_jitter_check":                   {"UPDATE thaw.settings SET jitter = '-1 second'", "UPDATE thaw.settings SET jitter = '25 hours'"},
	"settings_grace_period_check":             {"UPDATE thaw.settings SET grace_period = '-1 second'", "UPDATE thaw.settings SET grace_period = '8 days'"},
	"adopt_state_only_row_check":              {"INSERT INTO thaw.adopt_state (only_row) VALUES (false)"},
	"adopt_state_phase_check":                 {"UPDATE thaw.adopt_state SET phase = 'on', started_at = thaw.now()"},
	"adopt_state_phase_is_started":            {"UPDATE thaw.adopt_state SET phase = 'running'", "UPDATE thaw.adopt_state SET started_at = thaw.now()"},
	"adopt_state_drift_rows_check":            {"UPDATE thaw.adopt_state SET drift_rows = -1"},
	"adopt_state_drift_limit_rows_check":      {"UPDATE thaw.adopt_state SET drift_limit_rows = -1"},
	"adopt_state_drift_limit_percent_check":   {"UPDATE thaw.adopt_state SET drift_limit_percent = 101", "UPDATE thaw.adopt_state SET drift_limit_percent = -1"},
	"adopt_errors_kind_check":                 {"UPDATE thaw.adopt_errors SET kind = 'lead'"},
	"adopt_errors_external_id_check":          {"UPDATE thaw.adopt_errors SET external_id = ''"},
	"adopt_errors_code_check":                 {"UPDATE thaw.adopt_errors SET code = ''"},
	"adopt_errors_problem_check":              {"UPDATE thaw.adopt_errors SET problem = ''", "UPDATE thaw.adopt_errors SET problem = repeat('x', 1001)"},
	"adopt_errors_attempts_check":             {"UPDATE thaw.adopt_errors SET attempts = 0"},
	"adopt_errors_deferred_is_retried":        {"UPDATE thaw.adopt_errors SET is_deferred = true"},
	"changes_queue_kind_check":                {"UPDATE thaw.changes_queue SET kind = 'lead'"},
	"changes_queue_from_status_check":         {"UPDATE thaw.changes_queue SET from_status = ''"},
	"changes_queue_cause_check":               {"UPDATE thaw.changes_queue SET cause = ''"},
	"accounts_parked_has_a_reason":            {"UPDATE thaw.accounts SET parked_reason = ''", "UPDATE thaw.accounts SET parked_reason = repeat('x', 1001)"},
	"settings_keep_history_check": {
		"UPDATE thaw.settings SET keep_history = '47 hours'", "UPDATE thaw.settings SET keep_history = '36501 days'",
	},
	"settings_keep_signals_check": {
		"UPDATE thaw.settings SET keep_signals = '47 hours'", "UPDATE thaw.settings SET keep_signals = '36501 days'",
	},
	"settings_safety_accounts_check": {"UPDATE thaw.settings SET safety_accounts = 0", "UPDATE thaw.settings SET safety_accounts = 1000001"},
	"settings_safety_percent_check":  {"UPDATE thaw.settings SET safety_percent = 0", "UPDATE thaw.settings SET safety_percent = 101"},
	"settings_safety_window_check": {
		"UPDATE thaw.settings SET safety_window = '59 seconds'", "UPDATE thaw.settings SET safety_window = '25 hours'",
	},
	"settings_safety_slow_percent_check": {"UPDATE thaw.settings SET safety_slow_percent = 0", "UPDATE thaw.settings SET safety_slow_percent = 101"},
	"settings_safety_slow_window_check": {
		"UPDATE thaw.settings SET safety_slow_window = '59 minutes'", "UPDATE thaw.settings SET safety_slow_window = '8 days'",
	},
	"settings_flap_limit_check":     {"UPDATE thaw.settings SET flap_limit = -1", "UPDATE thaw.settings SET flap_limit = 21"},
	"settings_flap_wait_check":      {"UPDATE thaw.settings SET flap_wait = '-1 second'", "UPDATE thaw.settings SET flap_wait = '25 hours'"},
	"settings_silence_factor_check": {"UPDATE thaw.settings SET silence_factor = -1", "UPDATE thaw.settings SET silence_factor = 101"},
	"accounts_last_error_check":     {"UPDATE thaw.accounts SET status = 'error', last_error = repeat('x', 1001)"},
	"accounts_link_stays_in_its_workspace": {
		"INSERT INTO thaw.accounts (workspace_id, provider_account_id, link_id) VALUES (2, 'bob', 1)",
	},
	"accounts_link_is_to_another": {"UPDATE thaw.accounts SET link_id = id"},
	"accounts_lock_has_a_reason": {
		"UPDATE thaw.accounts SET locked_at = now()", "UPDATE thaw.accounts SET locked_reason = 'why'",
		"UPDATE thaw.accounts SET locked_at = now(), locked_reason = ''",
		"UPDATE thaw.accounts SET locked_at = now(), locked_reason = repeat('x', 1001)",
	},
	"accounts_connected_is_confirmed": {"UPDATE thaw.accounts SET reconnected_at = now()"},
	"account_products_product_check": {
		"INSERT INTO thaw.account_products (account_id, product, status, raw_status, status_at, down_since) VALUES (1, 'No Product', 'error', 'x', now(), now())",
	},
	"account_products_is_down": {
		"UPDATE thaw.account_products SET down_since = NULL", "UPDATE thaw.account_products SET status = 'connected'",
	},
	"account_products_account_id_fkey": {"UPDATE thaw.account_products SET account_id = 9"},
	"account_signals_text_is_bounded": {
		"UPDATE thaw.account_signals SET raw_status = ''", "UPDATE thaw.account_signals SET raw_status = repeat('x', 257)",
		"UPDATE thaw.account_signals SET raw_status = E'a\nb'", "UPDATE thaw.account_signals SET provider = repeat('x', 257)",
		"UPDATE thaw.account_signals SET provider_account_id = repeat('x', 257)", "UPDATE thaw.account_signals SET member_id = repeat('x', 257)",
		"UPDATE thaw.account_signals SET v1_account_id = repeat('x', 257)", "UPDATE thaw.account_signals SET delivery_key = repeat('x', 513)",
		"UPDATE thaw.account_signals SET product = repeat('x', 65)",
	},
	"account_signals_occurred_at_is_bounded": {
		"UPDATE thaw.account_signals SET occurred_at = 'infinity'", "UPDATE thaw.account_signals SET occurred_at = '-infinity'",
		"UPDATE thaw.account_signals SET occurred_at = '1999-12-31 23:59:59+00'", "UPDATE thaw.account_signals SET occurred_at = '12000-01-01'",
	},
	"instance_only_row_check":    {"UPDATE thaw.instance SET only_row = false"},
	"instance_doubt_check":       {"UPDATE thaw.instance SET doubt = ''"},
	"instance_name_is_plain":     {"UPDATE thaw.instance SET name = 'a b'", "UPDATE thaw.instance SET name = ''", "UPDATE thaw.instance SET name = '-a'"},
	"import_lock_only_row_check": {"INSERT INTO thaw.import_lock (only_row) VALUES (false)"},
	"signal_walk_only_row_check": {"INSERT INTO thaw.signal_walk (only_row) VALUES (false)"},
	"settings_safety_calm_check": {
		"UPDATE thaw.settings SET safety_calm = '59 seconds'", "UPDATE thaw.settings SET safety_calm = '8 days'",
	},
	"settings_tick_check": {
		"UPDATE thaw.settings SET tick = '0'",
		"UPDATE thaw.settings SET tick = '1.5 seconds'",
		"UPDATE thaw.settings SET tick = '25 hours'",
	},

	"safety_only_row_check": {"INSERT INTO thaw.safety (only_row) VALUES (false)"},
	"safety_mode_has_a_reason": {
		"UPDATE thaw.safety SET since = now()",
		"UPDATE thaw.safety SET reason = 'why'",
		"UPDATE thaw.safety SET since = now(), reason = '', entered_by = 'ann'",
		"UPDATE thaw.safety SET since = now(), reason = 'why'",
		"UPDATE thaw.safety SET since = now(), reason = 'why', entered_by = ''",
		"UPDATE thaw.safety SET entered_by = 'ann'",
	},
	"safety_off_is_empty": {
		"UPDATE thaw.safety SET manual_exit = true",
		"UPDATE thaw.safety SET accounts_lost = 1",
		"UPDATE thaw.safety SET accounts_connected = 1",
		"UPDATE thaw.safety SET breached_at = now()",
	},

	"workspaces_key_check": {"INSERT INTO thaw.workspaces (key) VALUES ('')"},
	"workspaces_key_is_visible": {
		"UPDATE thaw.workspaces SET key = 'acme '", "UPDATE thaw.workspaces SET key = chr(160) || 'acme'",
		"UPDATE thaw.workspaces SET key = 'ac' || chr(27) || '[2Jme'", "UPDATE thaw.workspaces SET key = 'ac' || chr(10) || 'me'",
		"UPDATE thaw.workspaces SET key = 'ac' || chr(8238) || 'me'", "UPDATE thaw.workspaces SET key = 'acme' || chr(8205)",
	},
	"accounts_provider_account_id_is_visible": {"UPDATE thaw.accounts SET provider_account_id = 'ann' || chr(8203)", "UPDATE thaw.accounts SET provider_account_id = 'a' || chr(155) || 'nn'"},
	"accounts_member_id_is_visible":           {"UPDATE thaw.accounts SET member_id = E'm1\t'"},
	"campaigns_key_is_visible":                {"UPDATE thaw.campaigns SET key = ' spring'", "UPDATE thaw.campaigns SET key = 'spring' || chr(65279)"},
	"enrollments_prospect_url_is_visible":     {"UPDATE thaw.enrollments SET prospect_url = prospect_url || chr(160)"},
	"workspaces_key_key":                      {"INSERT INTO thaw.workspaces (key) VALUES ('acme')"},
	"workspaces_heal_cap_check":               {"UPDATE thaw.workspaces SET heal_cap = 0", "UPDATE thaw.workspaces SET heal_cap = 10000001"},

	"accounts_provider_check":            {"UPDATE thaw.accounts SET provider = ''"},
	"accounts_provider_account_id_check": {"UPDATE thaw.accounts SET provider_account_id = ''"},
	"accounts_member_id_check":           {"UPDATE thaw.accounts SET member_id = ''"},
	"accounts_connected_has_no_error":    {"UPDATE thaw.accounts SET last_error = 'CREDENTIALS'"},
	"accounts_connected_is_not_due_to_pause": {
		"UPDATE thaw.accounts SET pause_after = now()",
	},
	"accounts_hold_has_a_reason": {
		"UPDATE thaw.accounts SET hold_until = now()",
		"UPDATE thaw.accounts SET hold_reason = 'resting'",
		"UPDATE thaw.accounts SET hold_until = now(), hold_reason = ''",
	},
	"accounts_workspace_id_fkey": {
		"INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (99, 'unknown')",
	},
	"accounts_provider_provider_account_id_key": {
		"INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (2, 'ann')",
	},
	// This can only be violated without the primary key.
	"accounts_workspace_id_id_key": {`
		ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_pkey CASCADE;
		INSERT INTO thaw.accounts (id, workspace_id, provider_account_id) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'again')`},

	"workspaces_times_are_in_range": {
		"UPDATE thaw.workspaces SET created_at = '-infinity'",
		"UPDATE thaw.workspaces SET auto_resume_changed_at = '12000-01-01'",
	},
	"accounts_times_are_in_range": {
		// The constraint also holds without the trigger that allows at most a year.
		"ALTER TABLE thaw.accounts DISABLE TRIGGER USER; UPDATE thaw.accounts SET hold_until = 'infinity', hold_reason = 'typo'",
		"UPDATE thaw.accounts SET status_at = '-infinity'",
		"UPDATE thaw.accounts SET first_connected_at = '0001-01-01'",
		"UPDATE thaw.accounts SET connected_at = 'infinity'",
		"UPDATE thaw.accounts SET disconnected_at = '12000-01-01'",
		"UPDATE thaw.accounts SET status = 'error', last_error = 'x', pause_after = 'infinity'",
		"UPDATE thaw.accounts SET created_at = '4000-01-01 BC'",
	},
	"api_tokens_times_are_in_range": {
		"INSERT INTO thaw.api_tokens (name, hash, created_by, expires_at) VALUES ('x', sha256('x'), 'ann', 'infinity')",
	},
	"campaigns_times_are_in_range": {
		"UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'paused_by_user', paused_at = 'infinity'",
		"UPDATE thaw.campaigns SET created_at = 'infinity'",
	},
	"enrollments_times_are_in_range": {
		"UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = '-infinity'",
		"UPDATE thaw.enrollments SET next_action_at = '0001-01-01T00:00:00+01:00'",
		"UPDATE thaw.enrollments SET next_action_at = '9999-12-31T23:59:59-01:00'",
		"UPDATE thaw.enrollments SET created_at = 'infinity'",
	},

	"campaigns_key_check": {"UPDATE thaw.campaigns SET key = ''"},
	"campaigns_paused_has_a_reason": {
		"UPDATE thaw.campaigns SET status = 'paused'",
		"UPDATE thaw.campaigns SET status = 'paused', paused_at = now()",
		"UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'paused_by_user'",
		"UPDATE thaw.campaigns SET paused_reason = 'paused_by_user', paused_at = now()",
		"UPDATE thaw.campaigns SET paused_at = now()",
	},
	"campaigns_workspace_id_fkey":    {"INSERT INTO thaw.campaigns (workspace_id, key) VALUES (99, 'summer')"},
	"campaigns_workspace_id_key_key": {"INSERT INTO thaw.campaigns (workspace_id, key) VALUES (1, 'spring')"},
	"campaigns_workspace_id_id_key": {`
		ALTER TABLE thaw.campaigns DROP CONSTRAINT campaigns_pkey CASCADE;
		INSERT INTO thaw.campaigns (id, workspace_id, key) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'again')`},

	"enrollments_step_check":         {"UPDATE thaw.enrollments SET step = -1"},
	"enrollments_prospect_url_check": {"UPDATE thaw.enrollments SET prospect_url = ''"},
	"enrollments_paused_has_a_reason": {
		"UPDATE thaw.enrollments SET status = 'paused'",
		"UPDATE thaw.enrollments SET status = 'paused', paused_at = now()",
		"UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user'",
		"UPDATE thaw.enrollments SET paused_reason = 'paused_by_user', paused_at = now()",
		"UPDATE thaw.enrollments SET paused_at = now()",
	},
	"enrollments_reason_is_of_enrollment": {
		"UPDATE thaw.enrollments SET status = 'paused', paused_at = now(), paused_reason = 'high_failure_rate'",
		"UPDATE thaw.enrollments SET status = 'paused', paused_at = now(), paused_reason = 'subscription_inactive'",
	},
	"enrollments_next_kind_check":  {"UPDATE thaw.enrollments SET next_kind = 'Invite!'"},
	"enrollments_own_reason_check": {"UPDATE thaw.enrollments SET own_reason = repeat('x', 1001)"},
	"workspaces_external_id_is_visible": {
		"UPDATE thaw.workspaces SET external_id = ''", "UPDATE thaw.workspaces SET external_id = ' 1'", "UPDATE thaw.workspaces SET external_id = repeat('x', 201)",
	},
	"accounts_external_id_is_visible": {
		"UPDATE thaw.accounts SET external_id = ''", "UPDATE thaw.accounts SET external_id = '1' || chr(160)", "UPDATE thaw.accounts SET external_id = repeat('x', 201)",
	},
	"campaigns_external_id_is_visible": {
		"UPDATE thaw.campaigns SET external_id = ''", "UPDATE thaw.campaigns SET external_id = '1' || chr(8203)", "UPDATE thaw.campaigns SET external_id = repeat('x', 201)",
	},
	"enrollments_external_id_is_visible": {
		"UPDATE thaw.enrollments SET external_id = ''", "UPDATE thaw.enrollments SET external_id = E'1\n'", "UPDATE thaw.enrollments SET external_id = repeat('x', 201)",
	},
	"workspaces_external_id_key": {"UPDATE thaw.workspaces SET external_id = '7'"},
	"accounts_external_id_key": {`
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, external_id) VALUES (1, 'bob', '7'), (1, 'cid', '7')`},
	"campaigns_external_id_key": {`
		INSERT INTO thaw.campaigns (workspace_id, key, external_id) VALUES (1, 'summer', '7'), (1, 'autumn', '7')`},
	"enrollments_external_id_key": {`
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, prospect_url, external_id) VALUES (1, 1, 'a', '7'), (1, 1, 'b', '7')`},
	// Composite keys separate tenants.
	"enrollments_workspace_id_campaign_id_fkey": {
		"UPDATE thaw.enrollments SET campaign_id = 99",
		`INSERT INTO thaw.campaigns (workspace_id, key) VALUES (2, 'theirs');
		UPDATE thaw.enrollments SET campaign_id = (SELECT c.id FROM thaw.campaigns AS c WHERE c.workspace_id = 2)`,
		"DELETE FROM thaw.campaigns",
	},
	"enrollments_workspace_id_account_id_fkey": {
		"UPDATE thaw.enrollments SET account_id = 99",
		`INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (2, 'theirs');
		UPDATE thaw.enrollments SET account_id = (SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = 2)`,
	},

	"account_signals_delivery_key_key": {`
		INSERT INTO thaw.account_signals (provider, provider_account_id, delivery_key, raw_status, outcome)
		VALUES ('linkedin', 'ann', 'first', 'OK', 'ignored')`},
	"account_signals_duplicate_names_its_original": {
		"UPDATE thaw.account_signals SET outcome = 'duplicate'",
		"UPDATE thaw.account_signals SET duplicate_of = 1",
	},
	"account_signals_applied_has_an_account": {
		"UPDATE thaw.account_signals SET account_id = NULL",
		"UPDATE thaw.account_signals SET status = NULL",
	},
	"account_signals_pass_is_closed_once": {
		"UPDATE thaw.account_signals SET finished_at = now()",
		"UPDATE thaw.account_signals SET finished_at = now(), resumed = 1",
		"UPDATE thaw.account_signals SET finished_at = now(), verdict = 'resumed'",
		"UPDATE thaw.account_signals SET resumed = 1",
		"UPDATE thaw.account_signals SET finished_at = now(), verdict = 'resumed', resumed = -1",
	},

	"sweeps_processed_is_planned": {
		"UPDATE thaw.sweeps SET accounts_processed = 2",
		"UPDATE thaw.sweeps SET accounts_processed = -1",
	},
	"sweeps_resumed_is_planned": {
		"UPDATE thaw.sweeps SET resumed = 11",
		"UPDATE thaw.sweeps SET resumed = -1",
		"UPDATE thaw.sweeps SET planned = 2001",
	},

	"allocations_planned_check": {"ALTER TABLE thaw.allocations DROP CONSTRAINT allocations_resumed_is_planned; UPDATE thaw.allocations SET planned = -1"},
	"allocations_resumed_is_planned": {
		"UPDATE thaw.allocations SET resumed = 11",
		"UPDATE thaw.allocations SET resumed = -1",
	},
	"allocations_closed_has_a_verdict": {
		"UPDATE thaw.allocations SET finished_at = now()",
		"UPDATE thaw.allocations SET verdict = 'resumed'",
	},
	"allocations_tick_at_fkey": {
		"INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned) VALUES ('2026-01-02', 1, 1, 1)",
		"DELETE FROM thaw.sweeps",
	},
	"allocations_workspace_id_account_id_fkey": {"UPDATE thaw.allocations SET workspace_id = 2"},

	"fleet_quotas_lane_check": {"INSERT INTO thaw.fleet_quotas (tick_at, lane, cap) VALUES ('2026-01-01', 'heal', 1)"},
	"fleet_quotas_used_is_within_cap": {
		"UPDATE thaw.fleet_quotas SET used = cap + 1",
		"UPDATE thaw.fleet_quotas SET used = -1",
	},
	"fleet_quotas_carried_is_used":   {"UPDATE thaw.fleet_quotas SET carried = used + 1", "UPDATE thaw.fleet_quotas SET carried = -1"},
	"account_quotas_carried_is_used": {"UPDATE thaw.account_quotas SET carried = used + 1", "UPDATE thaw.account_quotas SET carried = -1"},
	"account_quotas_used_is_within_cap": {
		"UPDATE thaw.account_quotas SET used = cap + 1",
		"UPDATE thaw.account_quotas SET used = -1",
	},

	"api_tokens_name_check":        {"UPDATE thaw.api_tokens SET name = ''"},
	"api_tokens_hash_check":        {"UPDATE thaw.api_tokens SET hash = 'short'"},
	"api_tokens_workspace_id_fkey": {"UPDATE thaw.api_tokens SET workspace_id = 99"},
	"api_tokens_hash_key": {
		"INSERT INTO thaw.api_tokens (name, hash, created_by) VALUES ('copy', sha256('one'), 'support')",
	},
	"api_tokens_expires_after_it_was_made": {"UPDATE thaw.api_tokens SET expires_at = created_at"},

	"heals_target_check":           {"UPDATE thaw.heals SET target = ''"},
	"heals_cap_check":              {"UPDATE thaw.heals SET cap = 0"},
	"heals_resumed_is_within_cap":  {"UPDATE thaw.heals SET resumed = 11", "UPDATE thaw.heals SET resumed = -1"},
	"heals_have_at_most_one_scope": {"UPDATE thaw.heals SET account_id = 1"},
	"heals_done_has_remaining": {
		"UPDATE thaw.heals SET status = 'done'",
		"UPDATE thaw.heals SET status = 'done', finished_at = now()",
		"UPDATE thaw.heals SET status = 'done', remaining = 0",
		"UPDATE thaw.heals SET finished_at = now()",
	},
	"heals_account_share_check":      {"UPDATE thaw.heals SET account_share = 0"},
	"heals_rate_check":               {"UPDATE thaw.heals SET rate = 0", "UPDATE thaw.heals SET rate = 1000001"},
	"heals_reason_check":             {"UPDATE thaw.heals SET reason = ''"},
	"heals_stopped_reason_check":     {"UPDATE thaw.heals SET status = 'stopped', stopped_at = now(), stopped_reason = ''"},
	"heals_stopped_has_a_reason":     {"UPDATE thaw.heals SET status = 'stopped'", "UPDATE thaw.heals SET stopped_reason = 'x'", "UPDATE thaw.heals SET stopped_at = now()"},
	"heals_of_the_fleet_have_a_rate": {"UPDATE thaw.heals SET is_fleet = true, workspace_id = NULL"},

	"heals_workspace_id_fkey": {"UPDATE thaw.heals SET workspace_id = 99"},
	"heals_tenant_id_fkey":    {"UPDATE thaw.heals SET tenant_id = 99"},
	"heals_account_id_fkey":   {"UPDATE thaw.heals SET workspace_id = NULL, account_id = 99"},
	"heals_one_running_per_target_key": {
		"INSERT INTO thaw.heals (workspace_id, target, cap, actor) VALUES (1, 'workspace:1', 10, 'support')",
	},
	"heal_enrollments_heal_id_fkey": {"INSERT INTO thaw.heal_enrollments (heal_id, last_id, enrollment_ids) VALUES (99, 1, '{1}')"},
	"heal_order_heal_id_fkey":       {"INSERT INTO thaw.heal_order (heal_id, last_place, enrollment_ids) VALUES (99, 1, '{1}')"},

	"enrollment_events_pause_has_a_reason": {"UPDATE thaw.enrollment_events SET reason = NULL"},
	"enrollment_events_names_its_pause": {
		"UPDATE thaw.enrollment_events SET paused_at = NULL",
		"UPDATE thaw.enrollment_events SET kind = 'resumed', source = 'import', paused_at = NULL",
	},
	"workers_client_id_check":            {"INSERT INTO thaw.workers (client_id, lock_key, pid) VALUES ('', 1, 1)"},
	"backlog_samples_paused_check":       {"ALTER TABLE thaw.backlog_samples DROP CONSTRAINT backlog_samples_waiting_are_paused; UPDATE thaw.backlog_samples SET paused = -1"},
	"backlog_samples_waiting_are_paused": {"UPDATE thaw.backlog_samples SET waiting = 3", "UPDATE thaw.backlog_samples SET waiting = -1"},
	"account_events_change_something":    {"UPDATE thaw.account_events SET to_status = from_status"},
	"manual_actions_what_check":          {"UPDATE thaw.manual_actions SET what = 'thought about', until = NULL"},
	"manual_actions_actor_check":         {"UPDATE thaw.manual_actions SET actor = ''"},
	"manual_actions_reason_check":        {"UPDATE thaw.manual_actions SET reason = ''"},
	"manual_actions_detail_check":        {"UPDATE thaw.manual_actions SET detail = ''"},
	"manual_actions_have_a_reason": {
		"UPDATE thaw.manual_actions SET reason = NULL",
		"UPDATE thaw.manual_actions SET reason = NULL, detail = 'a file'",
		"UPDATE thaw.manual_actions SET reason = NULL, what = 'imported', until = NULL",
	},
	"manual_actions_undoes_fkey":             {"UPDATE thaw.manual_actions SET what = 'undone', undoes = 99"},
	"manual_actions_undone_names_its_action": {"UPDATE thaw.manual_actions SET what = 'undone'", "UPDATE thaw.manual_actions SET undoes = 1"},
	"manual_actions_hold_has_an_end": {
		"UPDATE thaw.manual_actions SET until = NULL",
		"UPDATE thaw.manual_actions SET what = 'paused'",
	},

	"enrollment_events_names_its_pass": {
		"UPDATE thaw.enrollment_events SET kind = 'resumed', source = 'sweep'",
		"UPDATE thaw.enrollment_events SET kind = 'resumed', source = 'signal'",
		"UPDATE thaw.enrollment_events SET kind = 'resumed', source = 'signal', tick_at = now()",
		"UPDATE thaw.enrollment_events SET kind = 'resumed', source = 'signal', signal_id = 1",
		"UPDATE thaw.enrollment_events SET kind = 'moved', source = 'heal'",
	},

	"webhook_endpoints_url_check": {"UPDATE thaw.webhook_endpoints SET url = ''"},
	"webhook_endpoints_url_key":   {"INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')"},
	"webhook_endpoints_disabled_has_a_reason": {
		"UPDATE thaw.webhook_endpoints SET disabled_at = now()",
		"UPDATE thaw.webhook_endpoints SET disabled_reason = 'why'",
		"UPDATE thaw.webhook_endpoints SET disabled_at = now(), disabled_reason = ''",
	},
	"outbox_message_id_key":        {"INSERT INTO thaw.outbox (message_id, type, data) VALUES ('msg_1', 'test.ping', '{}')"},
	"outbox_type_check":            {"UPDATE thaw.outbox SET type = ''"},
	"outbox_open_is_of_an_account": {"UPDATE thaw.outbox SET account_id = NULL, is_open = true"},
	"outbox_one_open_per_account_key": {`
		UPDATE thaw.outbox SET is_open = true;
		INSERT INTO thaw.outbox (type, account_id, is_open, data) VALUES ('test.ping', 1, true, '{}')`},
	"webhook_deliveries_outbox_id_fkey":   {"UPDATE thaw.webhook_deliveries SET outbox_id = 99"},
	"webhook_deliveries_endpoint_id_fkey": {"UPDATE thaw.webhook_deliveries SET endpoint_id = 99"},
	"webhook_deliveries_attempts_check":   {"UPDATE thaw.webhook_deliveries SET attempts = -1"},
	"webhook_deliveries_waiting_has_a_time": {
		"UPDATE thaw.webhook_deliveries SET next_attempt_at = NULL",
		"UPDATE thaw.webhook_deliveries SET state = 'failed'",
	},
	"webhook_deliveries_delivered_has_a_time": {
		"UPDATE thaw.webhook_deliveries SET delivered_at = now()",
		"UPDATE thaw.webhook_deliveries SET state = 'delivered', next_attempt_at = NULL",
	},

	"zones_check":      {"INSERT INTO thaw.zones (key, name) VALUES ('Mars', 'Mars')"},
	"zones_name_check": {"INSERT INTO thaw.zones (key, name) VALUES ('', '')"},

	"settings_action_gap_from_check":  {"UPDATE thaw.settings SET action_gap_from = '-1 second'", "UPDATE thaw.settings SET action_gap_from = '25 hours', action_gap_to = '25 hours'"},
	"settings_action_gap_is_a_range":  {"UPDATE thaw.settings SET action_gap_to = '1 second'", "UPDATE thaw.settings SET action_gap_to = '25 hours'"},
	"settings_action_lease_check":     {"UPDATE thaw.settings SET action_lease = '9 seconds'", "UPDATE thaw.settings SET action_lease = '25 hours'"},
	"settings_pending_invites_check":  {"UPDATE thaw.settings SET pending_invites = -1", "UPDATE thaw.settings SET pending_invites = 100001"},
	"action_kinds_kind_check":         {"INSERT INTO thaw.action_kinds (kind, has_provider_ref) VALUES ('An invite', true)"},
	"action_limits_ramp_week_check":   {"UPDATE thaw.action_limits SET ramp_week = 0 WHERE ramp_week = 1", "UPDATE thaw.action_limits SET ramp_week = 7 WHERE ramp_week = 6"},
	"action_limits_kind_fkey":         {"UPDATE thaw.action_limits SET kind = 'fax' WHERE kind = 'view'"},
	"action_limits_per_day_check":     {"UPDATE thaw.action_limits SET per_day = -1", "UPDATE thaw.action_limits SET per_day = 100001"},
	"action_limits_per_week_check":    {"UPDATE thaw.action_limits SET per_week = -1", "UPDATE thaw.action_limits SET per_week = 1000001"},
	"action_limits_gap_from_check":    {"UPDATE thaw.action_limits SET gap_from = '-1 second'", "UPDATE thaw.action_limits SET gap_from = '25 hours', gap_to = '25 hours'"},
	"action_limits_gap_is_a_range":    {"UPDATE thaw.action_limits SET gap_from = '1 hour'", "UPDATE thaw.action_limits SET gap_to = '25 hours'"},
	"action_ceilings_kind_fkey":       {"UPDATE thaw.action_ceilings SET kind = 'fax' WHERE kind = 'view'"},
	"action_ceilings_per_day_check":   {"UPDATE thaw.action_ceilings SET per_day = -1", "UPDATE thaw.action_ceilings SET per_day = 100001"},
	"action_ceilings_per_week_check":  {"UPDATE thaw.action_ceilings SET per_week = -1", "UPDATE thaw.action_ceilings SET per_week = 1000001"},
	"action_ceilings_gap_from_check":  {"UPDATE thaw.action_ceilings SET gap_from = '-1 second'", "UPDATE thaw.action_ceilings SET gap_from = '25 hours'"},
	"action_overrides_kind_fkey":      {"UPDATE thaw.action_overrides SET kind = 'fax'"},
	"action_overrides_per_day_check":  {"UPDATE thaw.action_overrides SET per_day = -1", "UPDATE thaw.action_overrides SET per_day = 100001"},
	"action_overrides_per_week_check": {"UPDATE thaw.action_overrides SET per_week = -1", "UPDATE thaw.action_overrides SET per_week = 1000001"},
	"action_overrides_gap_from_check": {"UPDATE thaw.action_overrides SET gap_from = '-1 second', gap_to = '1 second'"},
	"action_overrides_gap_to_check":   {"UPDATE thaw.action_overrides SET gap_from = '0', gap_to = '25 hours'"},
	"action_overrides_gap_is_a_range": {
		"UPDATE thaw.action_overrides SET gap_from = '2 seconds', gap_to = '1 second'", "UPDATE thaw.action_overrides SET gap_from = '2 seconds'",
		"UPDATE thaw.action_overrides SET gap_to = '2 seconds'",
	},
	"action_overrides_reason_check":    {"UPDATE thaw.action_overrides SET reason = ''", "UPDATE thaw.action_overrides SET reason = repeat('x', 1001)"},
	"action_overrides_actor_check":     {"UPDATE thaw.action_overrides SET actor = ''"},
	"action_overrides_limit_something": {"UPDATE thaw.action_overrides SET per_day = NULL"},
	"action_overrides_campaign_has_a_daily_cap": {
		"UPDATE thaw.action_overrides SET campaign_id = 1", "UPDATE thaw.action_overrides SET account_id = NULL, campaign_id = 1, per_week = 1",
		"UPDATE thaw.action_overrides SET account_id = NULL, campaign_id = 1, per_day = NULL, per_week = 1",
	},
	"action_overrides_of_one": {
		"INSERT INTO thaw.action_overrides (workspace_id, account_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 10, 'x', 'x')",
		"INSERT INTO thaw.action_overrides (workspace_id, kind, per_day, reason, actor) VALUES (1, 'invite', 10, 'x', 'x'), (1, 'invite', 10, 'x', 'x')",
	},
	"action_overrides_workspace_id_fkey":             {"INSERT INTO thaw.action_overrides (workspace_id, kind, per_day, reason, actor) VALUES (99, 'invite', 10, 'x', 'x')"},
	"action_overrides_workspace_id_account_id_fkey":  {"UPDATE thaw.action_overrides SET workspace_id = 2", "UPDATE thaw.action_overrides SET account_id = 99"},
	"action_overrides_workspace_id_campaign_id_fkey": {"UPDATE thaw.action_overrides SET workspace_id = 2, account_id = NULL, campaign_id = 1"},
	"sending_windows_weekdays_check": {
		"UPDATE thaw.sending_windows SET weekdays = '{0}'", "UPDATE thaw.sending_windows SET weekdays = '{8}'", "UPDATE thaw.sending_windows SET weekdays = '{}'",
		"UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7,1}'",
	},
	"sending_windows_opens_check":                  {"UPDATE thaw.sending_windows SET opens = '24:00'"},
	"sending_windows_have_a_length":                {"UPDATE thaw.sending_windows SET opens = closes"},
	"sending_windows_timezone_check":               {"UPDATE thaw.sending_windows SET timezone = ''", "UPDATE thaw.sending_windows SET timezone = repeat('x', 65)"},
	"sending_windows_account_is_of_its_workspace":  {"UPDATE thaw.sending_windows SET account_id = 1"},
	"sending_windows_workspace_id_fkey":            {"UPDATE thaw.sending_windows SET workspace_id = 99"},
	"sending_windows_workspace_id_account_id_fkey": {"UPDATE thaw.sending_windows SET workspace_id = 2, account_id = 1"},
	"action_holds_account_id_fkey":                 {"UPDATE thaw.action_holds SET account_id = 99"},
	"action_holds_kind_fkey":                       {"UPDATE thaw.action_holds SET kind = 'fax'"},
	"action_holds_code_check":                      {"UPDATE thaw.action_holds SET code = 'HTTP 429'", "UPDATE thaw.action_holds SET code = ''"},
	"action_holds_reason_check":                    {"UPDATE thaw.action_holds SET reason = ''", "UPDATE thaw.action_holds SET reason = repeat('x', 1001)"},
	"action_holds_actor_check":                     {"UPDATE thaw.action_holds SET actor = ''"},
	"campaign_steps_campaign_id_fkey":              {"UPDATE thaw.campaign_steps SET campaign_id = 99"},
	"campaign_steps_position_check":                {"UPDATE thaw.campaign_steps SET position = -1"},
	"campaign_steps_kind_fkey":                     {"UPDATE thaw.campaign_steps SET kind = 'fax'"},
	"campaign_steps_delay_check":                   {"UPDATE thaw.campaign_steps SET delay = '-1 second'", "UPDATE thaw.campaign_steps SET delay = '366 days'"},
	"senders_key_check":                            {"UPDATE thaw.senders SET key = 'ann'", "UPDATE thaw.senders SET key = 'member:'"},
	"senders_provider_key_key":                     {"INSERT INTO thaw.senders (provider, key) VALUES ('linkedin', 'account:1')"},
	"senders_day_is_whole":                         {"UPDATE thaw.senders SET day = '2026-01-01'", "UPDATE thaw.senders SET day = '2026-01-01', day_began_at = now()"},
	"sending_accounts_account_id_fkey":             {"UPDATE thaw.sending_accounts SET account_id = 99"},
	"sending_accounts_sender_id_fkey":              {"UPDATE thaw.sending_accounts SET sender_id = 99", "DELETE FROM thaw.senders"},
	"actions_kind_fkey":                            {"UPDATE thaw.actions SET kind = 'fax'"},
	"actions_actor_check":                          {"UPDATE thaw.actions SET actor = ''", "UPDATE thaw.actions SET actor = repeat('x', 257)"},
	"actions_provider_ref_check":                   {"UPDATE thaw.actions SET provider_ref = ''", "UPDATE thaw.actions SET provider_ref = repeat('x', 257)"},
	"actions_error_code_check":                     {"UPDATE thaw.actions SET error_code = ''", "UPDATE thaw.actions SET error_code = repeat('x', 257)"},
	"removal_phases_follows_key":                   {"INSERT INTO thaw.removal_phases VALUES ('texts', 'kept')"},
	"actions_closed_as_check":                      {"UPDATE thaw.actions SET closed_at = now(), closed_as = 'lost'"},
	"actions_only_invites_close": {
		"UPDATE thaw.actions SET closed_at = now()", "UPDATE thaw.actions SET closed_as = 'duplicate'", "UPDATE thaw.actions SET closed_at = now(), closed_as = 'accepted'",
		"UPDATE thaw.actions SET kind = 'message', closed_at = now(), closed_as = 'duplicate'",
	},
	"actions_lease_is_of_open":   {"UPDATE thaw.actions SET lease_until = NULL", "UPDATE thaw.actions SET state = 'released', settled_at = now()"},
	"actions_settled_has_a_time": {"UPDATE thaw.actions SET settled_at = now()", "UPDATE thaw.actions SET state = 'expired', lease_until = NULL"},
	"actions_started_has_a_time": {
		"UPDATE thaw.actions SET started_at = now()", "UPDATE thaw.actions SET state = 'started'",
		"UPDATE thaw.actions SET state = 'unknown', lease_until = NULL, settled_at = now()",
	},
	"actions_outcome_fits": {
		"UPDATE thaw.actions SET outcome = 'sent'", "UPDATE thaw.actions SET state = 'sent', lease_until = NULL, started_at = now(), settled_at = now()",
		"UPDATE thaw.actions SET state = 'released', outcome = 'sent', lease_until = NULL, settled_at = now()",
	},
	"actions_step_key":   {another("1", "'https://example.com/in/eve'")},
	"actions_invite_key": {another("2", "prospect_url")},
}

// another inserts a copy of the action, for another enrollment or another prospect.
func another(enrollment, prospect string) string {
	return `INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, lease_until, local_day, gap, next_of_kind_at)
		SELECT workspace_id, account_id, sender_id, campaign_id, ` + enrollment + ", provider, " + prospect + ", step, kind, actor, lease_until, local_day, gap, next_of_kind_at FROM thaw.actions"
}

func TestConstraintsRejectViolations(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, oneRowEach)
	for name, statements := range breaks {
		for _, statement := range statements {
			assert.Equal(t, name, violation(t, db.Pool, statement).ConstraintName, statement)
		}
	}
}

// ours is a condition on a table name that excludes River's and goose's tables.
const ours = "c.relname NOT LIKE 'river%' AND c.relname NOT LIKE 'goose%'"

func TestEveryConstraintHasAViolation(t *testing.T) {
	t.Parallel()
	names := testdb.Column[string](t, testdb.New(t), `
		SELECT con.conname::text
		FROM pg_constraint AS con JOIN pg_class AS c ON c.oid = con.conrelid
		WHERE c.relnamespace = 'thaw'::regnamespace AND con.contype IN ('c', 'u', 'f', 'x') AND `+ours+`
		UNION
		SELECT index.relname::text
		FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_class AS index ON index.oid = i.indexrelid
		WHERE c.relnamespace = 'thaw'::regnamespace AND i.indisunique AND NOT i.indisprimary AND `+ours+`
		ORDER BY 1`)
	for _, name := range names {
		require.NotEmpty(t, breaks[name], "no statement in this file tries to violate constraint %s", name)
	}
	require.Len(t, breaks, len(names), "a statement here tries to violate a constraint that does not exist")
}

// nullable lists the columns that may be null, in table order: the value is unknown, has not
// occurred yet, or does not apply. All other columns must reject null.
var nullable = map[string][]string{
	"safety":     {"since", "reason", "entered_by", "accounts_lost", "accounts_connected", "breached_at", "ended_at"},
	"workspaces": {"auto_resume_reason", "auto_resume_changed_at", "auto_resume_changed_by", "heal_cap", "external_id"},
	"accounts": {
		"member_id", "last_error", "status_at", "first_connected_at", "connected_at", "disconnected_at", "reconnected_at", "locked_at", "locked_reason",
		"lock_status_at", "link_id", "lost_at", "resume_after", "needs_reconnect_at", "pause_after", "hold_until",
		"hold_reason", "timezone", "external_id", "parked_reason", "tier_changed_at", "restricted_at",
	},
	"action_limits":    {"per_week", "changed_at"},
	"action_ceilings":  {"per_week"},
	"action_overrides": {"account_id", "campaign_id", "per_day", "per_week", "gap_from", "gap_to"},
	"action_holds":     {"sender_id"},
	"scheduler":        {"finished_at", "hours_counted_at"},
	"pushing":          {"watched_at", "wait", "paused_until"},
	"sending_windows":  {"workspace_id", "account_id", "timezone"},
	"sending_accounts": {"served_at", "served_campaign_id", "code"},
	"senders": {
		"day", "day_began_at", "day_timezone", "next_allowed_at", "last_started_at", "ramp_started_at", "last_sent_at", "restriction_seen_at",
	},
	"actions": {
		"member_id", "outcome", "lease_until", "started_at", "settled_at", "timezone", "provider_ref", "error_code", "closed_at", "closed_as",
	},
	"adopt_errors":     {"external_id", "next_at", "place"},
	"adopt_state":      {"started_at", "mapping", "checked_at", "rows_checked", "drift_rows", "drift_detail", "check_due_at", "consumer", "consumer_error", "consumer_error_at", "consumer_error_ended_at"},
	"changes_queue":    {"from_account_id"},
	"account_products": {"down_since"},
	"provider_words":   {"says", "advice", "owner_advice"},
	"campaigns":        {"paused_reason", "paused_at", "external_id"},
	"enrollments":      {"account_id", "paused_reason", "paused_at", "next_action_at", "external_id", "own_reason", "next_kind"},
	"account_signals": {
		"account_id", "delivery_key", "duplicate_of", "status", "product", "member_id", "v1_account_id", "occurred_at", "body", "verdict", "resumed", "finished_at",
	},
	"settings":    {"changed_by"},
	"sweeps":      {"finished_at"},
	"allocations": {"verdict", "finished_at"},
	"heals": {"workspace_id", "account_id", "rate", "tenant_id", "found", "accounts", "first_source_ids", "oldest_first", "account_share",
		"next_batch_at", "at_account_id", "at_campaign_id", "at_paused_at", "at_enrollment_id", "at_place", "remaining", "reason", "job_id",
		"finished_at", "stopped_reason", "stopped_at"},
	"api_tokens": {"workspace_id", "last_used_at", "expires_at", "revoked_at"},
	"enrollment_events": {
		"tick_at", "heal_id", "signal_id", "job_id", "from_account_id", "to_account_id", "reason", "paused_at", "detail",
		"action_id", "from_reason",
	},
	"instance":        {"doubt"},
	"workers":         {"lost_at"},
	"campaign_events": {"account_id", "tick_at", "heal_id", "signal_id", "job_id", "reason", "detail", "action_id", "from_reason"},
	"account_events":  {"last_error", "enrollments"},
	"manual_actions": {
		"reason", "detail", "workspace_id", "account_id", "campaign_id", "prospect_url", "heal_id", "undoes", "before", "until", "enrollments",
		"accounts_lost", "accounts_connected", "logged_at",
	},
	"webhook_endpoints":  {"disabled_at", "disabled_reason"},
	"outbox":             {"workspace_id", "account_id"},
	"webhook_deliveries": {"next_attempt_at", "last_attempt_at", "last_status", "last_error", "delivered_at"},
}

func TestColumnsRejectNull(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, oneRowEach)
	rows, err := db.Pool.Query(t.Context(), `
		SELECT c.relname::text AS table, a.attname::text AS column, a.attnotnull AS not_null
		FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
			AND a.attidentity = '' AND a.attgenerated = '' AND `+ours+`
		ORDER BY c.relname, a.attnum`)
	require.NoError(t, err)
	type column struct {
		Table, Column string
		NotNull       bool
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByName[column])
	require.NoError(t, err)

	mayBeNull := map[string][]string{}
	for _, c := range columns {
		if !c.NotNull {
			mayBeNull[c.Table] = append(mayBeNull[c.Table], c.Column)
			continue
		}
		err := violation(t, db.Pool, fmt.Sprintf("UPDATE thaw.%s SET %s = NULL", c.Table, c.Column))
		assert.Equal(t, "23502", err.Code, "%s.%s: %s", c.Table, c.Column, err.Message)
		assert.Equal(t, c.Column, err.ColumnName)
	}
	require.Equal(t, nullable, mayBeNull)
}

// violation runs statements that must fail, in a transaction that is rolled back, and returns the
// error.
func violation(t *testing.T, pool *pgxpool.Pool, statements string) *pgconn.PgError {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	_, err = tx.Exec(t.Context(), statements)
	var violated *pgconn.PgError
	require.True(t, errors.As(err, &violated), "%s: %v", statements, err)
	return violated
}
