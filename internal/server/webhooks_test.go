package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/webhook"
)

// A record is the database record of one delivery.
type record struct {
	outcome, raw, status string
	known, hasBody       bool
}

// recorded returns the record of the newest delivery.
func (s *site) recorded(t *testing.T) record {
	t.Helper()
	var r record
	err := s.Pool.QueryRow(t.Context(), `
		SELECT outcome::text, raw_status, coalesce(status::text, ''), account_id IS NOT NULL, body IS NOT NULL
		FROM thaw.account_signals ORDER BY id DESC LIMIT 1`).Scan(&r.outcome, &r.raw, &r.status, &r.known, &r.hasBody)
	require.NoError(t, err)
	return r
}

func (s *site) signals(t *testing.T) int {
	t.Helper()
	return testdb.Value[int](t, s.DB, "SELECT count(*) FROM thaw.account_signals")
}

func TestDisconnectPausesAndConnectResumes(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			s.work(t)
			now := s.Now(t)

			require.Equal(t, "applied", s.post(t, d.deliver(t, d.secrets[0], event{word: d.disconnected, at: now})).outcome(t))
			require.Equal(t, record{"applied", d.disconnected, "disconnected", true, true}, s.recorded(t))
			require.Equal(t, "disconnected", s.accountStatus(t))
			s.settle(t)
			require.Equal(t, 10, s.prospects(t, "paused"))
			require.Equal(t, []string{"completed"}, testdb.Column[string](t, s.DB,
				"SELECT state::text FROM thaw.river_job WHERE kind = 'pause_account'"))

			require.Equal(t, "applied", s.post(t, d.deliver(t, d.secrets[0], event{word: d.connected, at: now.Add(time.Minute)})).outcome(t))
			require.Equal(t, record{"applied", d.connected, "connected", true, true}, s.recorded(t))
			require.Equal(t, "connected", s.accountStatus(t))
			s.settle(t)
			require.Equal(t, 10, s.prospects(t, "active"))
			require.Equal(t, []string{"completed"}, testdb.Column[string](t, s.DB,
				"SELECT state::text FROM thaw.river_job WHERE kind = 'resume_account'"))
			require.Equal(t, 10, testdb.Value[int](t, s.DB, `
				SELECT count(*) FROM thaw.enrollment_events AS e JOIN thaw.account_signals AS s ON s.id = e.signal_id
				WHERE e.kind = 'resumed' AND s.raw_status = $1`, d.connected), "the history names the signal")
		})
	}
}

func TestRepeatedDeliveryIsADuplicate(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			same := d.deliver(t, d.secrets[0], event{id: "evt_1", word: d.disconnected, at: s.Now(t)})
			require.Equal(t, "applied", s.post(t, same).outcome(t))
			if !d.hasIDs {
				// Without an ID, a repeated delivery looks like a new one. It changes nothing.
				require.Equal(t, "applied", s.post(t, same).outcome(t))
			} else {
				require.Equal(t, "duplicate", s.post(t, same).outcome(t))
				require.Equal(t, record{"duplicate", d.disconnected, "disconnected", true, true}, s.recorded(t))
				require.Equal(t, 1, testdb.Value[int](t, s.DB, `
					SELECT count(*) FROM thaw.account_signals AS second
					JOIN thaw.account_signals AS first ON first.id = second.duplicate_of AND first.outcome = 'applied'`))
			}
			require.Equal(t, 2, s.signals(t))
			require.Equal(t, 1, testdb.Value[int](t, s.DB, "SELECT count(*) FROM thaw.river_job"), "one job for both")

			s.work(t)
			s.settle(t)
			require.Equal(t, 10, testdb.Value[int](t, s.DB, "SELECT count(*) FROM thaw.enrollment_events"), "each prospect is paused once")
		})
	}
}

func TestOlderSignalIsStale(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			now := s.Now(t)
			require.Equal(t, "applied", s.post(t, d.deliver(t, d.secrets[0], event{word: d.connected, at: now})).outcome(t))
			late := s.post(t, d.deliver(t, d.secrets[0], event{word: d.disconnected, at: now.Add(-time.Minute)}))
			if !d.hasIDs {
				require.Equal(t, "applied", late.outcome(t), "a signal without a time is ordered by receipt")
				require.Equal(t, "disconnected", s.accountStatus(t))
				return
			}
			require.Equal(t, "stale", late.outcome(t))
			require.Equal(t, record{"stale", d.disconnected, "disconnected", true, true}, s.recorded(t))
			require.Equal(t, "connected", s.accountStatus(t))
			require.Zero(t, testdb.Value[int](t, s.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'pause_account'"))
		})
	}
}

func TestSignalForUnknownAccountIsAppliedOnInsert(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.Exec(t, `
				INSERT INTO thaw.workspaces (key) VALUES ('acme');
				INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;`)
			s.work(t)
			early := d.deliver(t, d.secrets[0], event{word: d.disconnected, at: s.Now(t)})
			require.Equal(t, "unknown_account", s.post(t, early).outcome(t))
			require.Equal(t, record{"unknown_account", d.disconnected, "disconnected", false, true}, s.recorded(t))

			s.insertAccount(t, "connecting")
			require.Equal(t, "disconnected", s.accountStatus(t))
			require.Equal(t, record{"applied", d.disconnected, "disconnected", true, true}, s.recorded(t))
			s.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'pause_account' AND state = 'completed'")
		})
	}
}

func TestUnknownStatusIsIgnored(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			require.Equal(t, "ignored", s.post(t, d.deliver(t, d.secrets[0], event{word: d.unknown, at: s.Now(t)})).outcome(t))
			require.Equal(t, record{"ignored", d.unknown, "", true, true}, s.recorded(t))
			require.Equal(t, "connected", s.accountStatus(t))
			require.Zero(t, testdb.Value[int](t, s.DB, "SELECT count(*) FROM thaw.river_job"))
		})
	}
}

// The pause of a transient error is scheduled for the end of the grace period.
func TestTransientErrorIsScheduled(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			require.Equal(t, "applied", s.post(t, d.deliver(t, d.secrets[0], event{word: d.transientError, at: s.Now(t)})).outcome(t))
			require.Equal(t, "error", s.accountStatus(t))
			require.Equal(t, d.transientError, testdb.Value[string](t, s.DB, "SELECT last_error FROM thaw.accounts"))
			require.Equal(t, "scheduled", testdb.Value[string](t, s.DB, "SELECT state::text FROM thaw.river_job"))
			require.Equal(t, 10, s.prospects(t, "active"))
		})
	}
}

func TestStandardSignalSetsMember(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	body := event{word: "connected", at: s.Now(t), member: "ACoAA1"}
	require.Equal(t, "applied", s.post(t, standard(t, standardSecrets[0], body)).outcome(t))
	require.Equal(t, "ACoAA1", testdb.Value[string](t, s.DB, "SELECT member_id FROM thaw.accounts"))
}

func TestSecretsAreRotated(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			deliver := func(s *site, secret string) answer {
				return s.post(t, d.deliver(t, secret, event{word: d.connected, at: s.Now(t)}))
			}
			require.Equal(t, "applied", deliver(s, d.secrets[1]).outcome(t), "the old secret is valid while it is configured")
			require.Equal(t, "applied", deliver(s, d.secrets[0]).outcome(t), "the new secret is valid")

			after := serve(t, s.DB, webhook.Config{
				Dialects: webhook.Dialects{
					UnipileV1: webhook.UnipileV1{Secrets: v1Secrets[:1]}, UnipileV2: webhook.UnipileV2{Secrets: v2Secrets[:1]}, Standard: webhook.Standard{Secrets: standardSecrets[:1]},
				},
			})
			refused := deliver(after, d.secrets[1])
			require.Equal(t, http.StatusUnauthorized, refused.status)
			require.NotContains(t, refused.body, d.secrets[0])
			require.Equal(t, 2, s.signals(t), "a refused delivery leaves no record")
			require.Equal(t, "applied", deliver(after, d.secrets[0]).outcome(t))
		})
	}
}

func TestRouteWithoutASecretDoesNotExist(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t), webhook.Config{})
	for _, d := range dialects {
		require.Equal(t, http.StatusNotFound, s.post(t, d.deliver(t, d.secrets[0], event{word: d.connected, at: s.Now(t)})).status, d.name)
	}
}

func TestRefusedDeliveryLeavesNoRecord(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	for name, test := range map[string]struct {
		change func(*delivery)
		status int
	}{
		"modified body": {func(d *delivery) { d.body = append(d.body, ' ') }, http.StatusUnauthorized},
		"no signature":  {func(d *delivery) { d.header.Del("webhook-signature") }, http.StatusUnauthorized},
		"signed too long ago": {func(d *delivery) {
			header, err := signing.Sign(standardSecrets[0], "evt_1", time.Now().Add(-6*time.Minute), d.body)
			require.NoError(t, err)
			d.header = header
		}, http.StatusUnauthorized},
		"not JSON": {func(d *delivery) {
			d.body = []byte("{")
			header, err := signing.Sign(standardSecrets[0], "evt_1", time.Now(), d.body)
			require.NoError(t, err)
			d.header = header
		}, http.StatusBadRequest},
		"larger than 64 KiB": {func(d *delivery) { d.body = make([]byte, 64<<10+1) }, http.StatusRequestEntityTooLarge},
	} {
		d := standard(t, standardSecrets[0], event{word: "disconnected", at: s.Now(t)})
		test.change(&d)
		require.Equal(t, test.status, s.post(t, d).status, name)
	}
	require.Zero(t, s.signals(t))
	require.Equal(t, "connected", s.accountStatus(t))
}

func TestDatabaseDownAsksForRetry(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			same := d.deliver(t, d.secrets[0], event{word: d.disconnected, at: s.Now(t)})

			end := s.outage(t)
			failed := s.post(t, same)
			require.Equal(t, http.StatusServiceUnavailable, failed.status)
			require.JSONEq(t, `{"error":"the delivery could not be recorded just now: send it again later"}`, failed.body)
			require.Equal(t, "30", failed.retryAfter)

			end()
			require.Equal(t, "applied", s.post(t, same).outcome(t), "the failed attempt left no record, so this is not a duplicate")
			require.Equal(t, 1, s.signals(t))
			s.work(t)
			s.settle(t)
			require.Equal(t, 10, s.prospects(t, "paused"))
		})
	}
}

func TestStatusAndJobAreCommittedTogether(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			same := d.deliver(t, d.secrets[0], event{word: d.disconnected, at: s.Now(t)})

			s.Exec(t, "ALTER TABLE thaw.river_job RENAME TO river_job_away")
			require.Equal(t, http.StatusServiceUnavailable, s.post(t, same).status)
			require.Zero(t, s.signals(t))
			require.Equal(t, "connected", s.accountStatus(t))
			require.True(t, testdb.Value[bool](t, s.DB, "SELECT status_at IS NULL AND pause_after IS NULL FROM thaw.accounts"))

			s.Exec(t, "ALTER TABLE thaw.river_job_away RENAME TO river_job")
			require.Equal(t, "applied", s.post(t, same).outcome(t))
			s.work(t)
			s.settle(t)
			require.Equal(t, 10, s.prospects(t, "paused"))
		})
	}
}
