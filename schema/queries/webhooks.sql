-- name: RegisterEndpoint :one
-- Returns the endpoint with this URL; inserts and records it if it does not exist. detail is the
-- URL without secrets.
WITH endpoint AS (
    INSERT INTO thaw.webhook_endpoints AS e (url) VALUES (sqlc.arg(url)::text)
    ON CONFLICT (url) DO UPDATE SET created_at = e.created_at
    RETURNING e.id, e.disabled_at, e.disabled_reason, (e.created_at = thaw.now())::boolean AS is_new
), recorded AS (
    INSERT INTO thaw.manual_actions (what, actor, detail)
    SELECT 'endpoint_added', sqlc.arg(actor)::text, sqlc.arg(detail)::text FROM endpoint WHERE endpoint.is_new
)
SELECT endpoint.id, endpoint.disabled_at, endpoint.disabled_reason FROM endpoint;

-- name: EndpointURL :one
-- The endpoint with this ID or URL.
SELECT e.id, e.url FROM thaw.webhook_endpoints AS e
WHERE e.id = sqlc.narg(endpoint_id)::bigint OR e.url = sqlc.narg(url)::text;

-- name: EnableEndpoint :one
SELECT thaw.enable_endpoint(sqlc.arg(endpoint_id)::bigint, sqlc.arg(shown)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS changed;

-- name: DisableEndpoint :exec
UPDATE thaw.webhook_endpoints AS e SET disabled_at = thaw.now(), disabled_reason = sqlc.arg(reason)::text
WHERE e.id = sqlc.arg(endpoint_id)::bigint AND e.disabled_at IS NULL;

-- name: RemoveEndpoint :one
SELECT thaw.remove_endpoint(sqlc.arg(endpoint_id)::bigint, sqlc.arg(shown)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS removed;

-- name: Publish :one
-- Empty: no endpoint is enabled.
SELECT coalesce(thaw.publish(sqlc.arg(type)::text, p_data => sqlc.arg(data)::jsonb), '')::text AS message_id;

-- name: ToDeliver :one
-- A message that is to be delivered to an endpoint. No row: it is delivered or no longer pending.
-- Not from a copy of the database (why_copy), and not when its time is over (ends_in).
SELECT o.id AS outbox_id, o.at, o.type, o.data, d.attempts, e.disabled_reason,
    coalesce((SELECT i.name FROM thaw.instance AS i), '')::text AS instance, coalesce(thaw.why_copy(), '')::text AS why_copy,
    coalesce(thaw.ends_in(o.type, o.data), '100 years')::interval AS ends_in
FROM thaw.outbox AS o
JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id AND d.endpoint_id = sqlc.arg(endpoint_id)::bigint
JOIN thaw.webhook_endpoints AS e ON e.id = d.endpoint_id
WHERE o.message_id = sqlc.arg(message_id) AND d.state = 'waiting';

-- name: RecordAttempt :one
-- Records the result of an attempt. A successful one also completes the job.
WITH tried AS (
    UPDATE thaw.webhook_deliveries AS d SET
        state = sqlc.arg(state)::thaw.delivery_state,
        attempts = d.attempts + 1,
        next_attempt_at = thaw.now() + sqlc.narg(next_in)::interval,
        last_attempt_at = thaw.now(),
        last_status = sqlc.narg(status)::integer,
        last_error = sqlc.narg(error)::text,
        delivered_at = CASE WHEN sqlc.arg(state)::thaw.delivery_state = 'delivered' THEN thaw.now() END
    WHERE d.outbox_id = sqlc.arg(outbox_id)::bigint AND d.endpoint_id = sqlc.arg(endpoint_id)::bigint AND d.state = 'waiting'
    RETURNING d.state
)
SELECT coalesce(
    CASE WHEN sqlc.arg(state)::thaw.delivery_state = 'delivered' THEN thaw.complete_job(sqlc.arg(job_id)::bigint) END,
    false)::boolean AS completed
FROM (SELECT count(*) AS rows FROM tried) AS recorded;

-- name: Endpoints :many
SELECT e.id, e.url, e.created_at, e.disabled_at, e.disabled_reason,
    (SELECT count(*) FROM thaw.webhook_deliveries AS d WHERE d.endpoint_id = e.id AND d.state = 'waiting')::bigint AS waiting,
    (SELECT count(*) FROM thaw.webhook_deliveries AS d WHERE d.endpoint_id = e.id AND d.state = 'failed')::bigint AS failed
FROM thaw.webhook_endpoints AS e
ORDER BY e.id;

-- name: Messages :many
-- The newest messages, or the newest before a given one, with a row for each endpoint that they are
-- delivered to; with an empty url if there is none. Messages that a pause still adds to are
-- excluded. Deliveries are looked up message by message (the LIMIT): the planner does not know the
-- number of messages and would hash all deliveries.
SELECT o.message_id, o.at, o.type, o.data, coalesce(e.url, '')::text AS url, coalesce(d.state::text, '')::text AS state,
    coalesce(d.attempts, 0)::integer AS attempts, d.next_attempt_at, d.last_attempt_at, d.last_status, d.last_error, d.delivered_at
FROM (
    SELECT page.id, page.message_id, page.at, page.type, page.data
    FROM thaw.outbox AS page
    WHERE NOT page.is_open AND page.id < coalesce(
        (SELECT given.id FROM thaw.outbox AS given WHERE given.message_id = sqlc.narg(before)::text), 9223372036854775807)
    ORDER BY page.id DESC
    LIMIT sqlc.arg(size)::integer) AS o
LEFT JOIN LATERAL (
    SELECT given.endpoint_id, given.state, given.attempts, given.next_attempt_at, given.last_attempt_at, given.last_status,
        given.last_error, given.delivered_at
    FROM thaw.webhook_deliveries AS given
    WHERE given.outbox_id = o.id
    ORDER BY given.endpoint_id LIMIT 1000) AS d ON true
LEFT JOIN thaw.webhook_endpoints AS e ON e.id = d.endpoint_id
ORDER BY o.id DESC, e.id;

-- name: CountMessagesBefore :one
-- How many messages are older than a given one, counted up to at_most.
SELECT count(*)::bigint AS messages
FROM (
    SELECT FROM thaw.outbox AS o
    WHERE NOT o.is_open AND o.id < (SELECT given.id FROM thaw.outbox AS given WHERE given.message_id = sqlc.arg(before)::text)
    ORDER BY o.id DESC LIMIT sqlc.arg(at_most)::integer) AS counted;

-- name: Message :many
-- The deliveries of one message. No row: the message does not exist or has no delivery.
SELECT e.url, d.state::text AS state, d.attempts, d.next_attempt_at, d.last_status, d.last_error
FROM thaw.outbox AS o
JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
JOIN thaw.webhook_endpoints AS e ON e.id = d.endpoint_id
WHERE o.message_id = sqlc.arg(message_id)
ORDER BY e.id;

-- name: IsMessage :one
SELECT EXISTS (SELECT FROM thaw.outbox AS o WHERE o.message_id = sqlc.arg(message_id))::boolean;

-- name: StartReplay :one
SELECT thaw.start_replay(sqlc.arg(which)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::bigint AS action_id;

-- name: Replay :one
SELECT again.messages::bigint AS messages, again.deliveries::bigint AS deliveries, coalesce(again.next_before, 0)::bigint AS next_before
FROM thaw.replay(sqlc.narg(message_id)::text, sqlc.narg(since)::timestamptz, sqlc.arg(failed)::boolean,
    sqlc.narg(before)::bigint, sqlc.arg(size)::integer) AS again;

-- name: EndpointPage :many
-- The endpoints, with their waiting and failed deliveries counted up to a limit.
SELECT e.id, e.url, e.created_at, e.disabled_at, e.disabled_reason, waiting.count AS waiting, failed.count AS failed,
    oldest.at AS waiting_since
FROM thaw.webhook_endpoints AS e
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(d.outbox_id) AS oldest_id
    FROM (SELECT w.outbox_id FROM thaw.webhook_deliveries AS w
          WHERE w.endpoint_id = e.id AND w.state = 'waiting' ORDER BY w.outbox_id LIMIT sqlc.arg(most)::integer) AS d) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT f.outbox_id FROM thaw.webhook_deliveries AS f
          WHERE f.endpoint_id = e.id AND f.state = 'failed' LIMIT sqlc.arg(most)::integer) AS d) AS failed
LEFT JOIN thaw.outbox AS oldest ON oldest.id = waiting.oldest_id
ORDER BY e.id
LIMIT 100;

-- name: MessagePage :many
-- Messages, newest first, with a row for each endpoint that they are delivered to; with an empty
-- url if there is none. state: only messages with a delivery in this state. Messages that a pause
-- still adds to are excluded.
SELECT o.id, o.message_id, o.at, o.type, jsonb_pretty(o.data)::text AS data, coalesce(e.url, '')::text AS url,
    coalesce(d.state::text, '')::text AS state, coalesce(d.attempts, 0)::integer AS attempts, d.next_attempt_at, d.last_attempt_at,
    d.last_status, d.last_error, d.delivered_at, o.account_id, coalesce(a.provider_account_id, '')::text AS account
FROM (
    SELECT page.* FROM (
        SELECT chosen.outbox_id FROM (
            (SELECT m.id AS outbox_id FROM thaw.outbox AS m
             WHERE sqlc.arg(state)::text = '' AND NOT m.is_open AND m.id < sqlc.arg(before_id)::bigint
             ORDER BY m.id DESC LIMIT sqlc.arg(size)::integer)
            UNION
            (SELECT of_endpoint.outbox_id FROM thaw.webhook_endpoints AS each
             CROSS JOIN LATERAL (
                 SELECT w.outbox_id FROM thaw.webhook_deliveries AS w
                 WHERE w.endpoint_id = each.id AND w.state = nullif(sqlc.arg(state)::text, '')::thaw.delivery_state AND w.outbox_id < sqlc.arg(before_id)::bigint
                 ORDER BY w.outbox_id DESC LIMIT sqlc.arg(size)::integer) AS of_endpoint
             WHERE sqlc.arg(state)::text <> '')) AS chosen
        ORDER BY chosen.outbox_id DESC LIMIT sqlc.arg(size)::integer) AS key
    JOIN thaw.outbox AS page ON page.id = key.outbox_id) AS o
LEFT JOIN LATERAL (
    SELECT given.* FROM thaw.webhook_deliveries AS given
    WHERE given.outbox_id = o.id
    ORDER BY given.endpoint_id LIMIT 100) AS d ON true
LEFT JOIN thaw.webhook_endpoints AS e ON e.id = d.endpoint_id
LEFT JOIN thaw.accounts AS a ON a.id = o.account_id
ORDER BY o.id DESC, e.id;
