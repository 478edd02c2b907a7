package bench

import (
	"context"
	_ "embed"
	"fmt"
)

// tokenBucket is what users of job queues write in front of a sender.
//
//go:embed peers/token-bucket.sql
var tokenBucket string

// bucketGate does one action with a token bucket. A worker takes any job, so that start ignores its
// argument.
var bucketGate = gate{
	"SELECT bucket.plan($1)", "SELECT job FROM bucket.take() WHERE $1::bigint > 0", "SELECT bucket.done($1, 'ref')", true,
	"SELECT count(*) FROM bucket.sent AS s WHERE s.account_id BETWEEN $1 AND $2",
}

// addBuckets copies the accounts and prospects, with the same IDs, into the tables of the token
// bucket. They may be sent at any time, as in send_at_any_time.sql.
func (db *database) addBuckets(ctx context.Context) error {
	if err := db.script(ctx, tokenBucket); err != nil {
		return fmt.Errorf("token bucket: %w", err)
	}
	return db.script(ctx, `
		INSERT INTO bucket.accounts (id, name, zone, opens, closes, per_day, per_week, tokens, token_each)
		SELECT a.id, a.provider_account_id, 'UTC', '00:00', '24:00', 1000, 10000, 1000, '1 minute' FROM thaw.accounts AS a;
		INSERT INTO bucket.rate_limits (key, tokens, refilled_at) SELECT 'account:' || a.id, a.tokens, thaw.now() FROM bucket.accounts AS a;
		INSERT INTO bucket.leads (id, account_id, url, step, next_run_at)
		SELECT e.id, e.account_id, e.prospect_url, e.step, e.next_action_at FROM thaw.enrollments AS e`)
}
