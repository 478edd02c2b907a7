package chaos_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// At each tick the first inserts fail, as on a full disk: of the sweep job, or of the tick's row.
// Each tick is swept anyway: the leader's scheduler inserts the job once per tick, but the
// watchdogs retry, and the queue retries a failed job.
func TestFailingInsertAtTheTick(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	for _, failing := range []struct {
		name, table, condition, tick string
		// times is how many inserts fail per tick. For jobs: more than the scheduler and the first
		// attempts of both watchdogs. For rows: no more than the queue can retry within a tick.
		times int
	}{
		{"job", "thaw.river_job", "NEW.kind = 'sweep'", "(NEW.args ->> 'tick_at')::timestamptz", 3},
		{"sweep", "thaw.sweeps", "true", "NEW.tick_at", 1},
	} {
		t.Run(failing.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.fleet(2, scale(400, 3000))
			s.exec(`
				-- Sequences count rolled back transactions too. There is one sequence per tick,
				-- reused after 100 ticks.
				CREATE SCHEMA chaos;
				DO $$
				BEGIN
					FOR i IN 0..99 LOOP
						EXECUTE format('CREATE SEQUENCE chaos.tried_%s', i);
					END LOOP;
				END;
				$$;
				CREATE FUNCTION chaos.fail() RETURNS trigger LANGUAGE plpgsql AS $$
				DECLARE
					tick timestamptz := ` + failing.tick + `;
				BEGIN
					IF nextval(format('chaos.tried_%s', extract(epoch FROM tick)::bigint / 4 % 100)) <= TG_ARGV[0]::integer THEN
						RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
					END IF;
					RETURN NEW;
				END;
				$$;
				CREATE TRIGGER chaos_fail BEFORE INSERT ON ` + failing.table + `
					FOR EACH ROW WHEN (` + failing.condition + `) EXECUTE FUNCTION chaos.fail(` + strconv.Itoa(failing.times) + `);`)
			options := []string{"--tick=4s", "--jitter=10s"}
			processes := []*process{s.serve(options...), s.serve(options...)}

			ticks := scale(2, 50)
			first := value[time.Time](s, "SELECT min(tick_at) FROM thaw.sweeps")
			s.until(time.Duration(ticks+5)*4*time.Second, "SELECT thaw.now() > $1::timestamptz + interval '4 seconds' * $2::integer", first, ticks)
			swept := value[int](s, "SELECT count(*) FROM thaw.sweeps WHERE tick_at < $1::timestamptz + interval '4 seconds' * $2::integer", first, ticks)
			require.Equal(s, ticks, swept, "each tick is swept")
			s.faultN("failed inserts", value[int](s, "SELECT sum(least(coalesce(last_value, 0), $1))::integer FROM pg_sequences WHERE schemaname = 'chaos'", failing.times))
			byWatchdog := value[int](s, "SELECT count(*) FROM thaw.river_job WHERE kind = 'sweep' AND NOT metadata ? 'periodic'")
			s.figure("%d ticks swept, %d of them through a watchdog", swept, byWatchdog)
			if failing.name == "job" {
				// The scheduler inserts first and fails. In a tick in which a leader starts it may
				// insert later and succeed.
				require.Positive(s, byWatchdog)
			}
			s.alive(processes...)
			s.exec("DROP TRIGGER chaos_fail ON " + failing.table)
			s.active(time.Minute)
			s.checker(s.somePaused)
		})
	}
}
