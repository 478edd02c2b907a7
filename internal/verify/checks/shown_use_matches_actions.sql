-- What pages, the API and the gates show as used by an account equals the rows of thaw.actions.
-- ranges: thaw.sending_accounts account_id
WITH shown AS MATERIALIZED (
    SELECT g.account_id, g.kind, g.sender_id, g.day, g.day_began_at, g.used_today, g.used_in_week, g.pending_invites
    FROM thaw.kind_gates(ARRAY(
        SELECT sending.account_id FROM thaw.sending_accounts AS sending
        WHERE sending.account_id BETWEEN 0 AND 9223372036854775807)) AS g
    WHERE g.sender_id IS NOT NULL
), used AS (
    SELECT shown.account_id, shown.kind, count(*) AS in_week,
        -- Around midnight an action may count into two days.
        count(*) FILTER (WHERE a.local_day = shown.day OR a.used_at >= shown.day_began_at OR a.state = 'started') AS today
    FROM shown
    JOIN thaw.actions AS a ON a.sender_id = shown.sender_id AND a.kind = shown.kind
    WHERE a.state IN ('reserved', 'started', 'sent', 'unknown') AND a.used_at > thaw.now() - interval '168 hours'
    GROUP BY shown.account_id, shown.kind
), invited AS (
    SELECT a.sender_id, count(*) AS n
    FROM thaw.actions AS a
    WHERE a.kind = 'invite' AND a.state IN ('reserved', 'started', 'sent', 'unknown') AND a.closed_at IS NULL
        AND a.used_at > thaw.now() - interval '180 days'
    GROUP BY a.sender_id
), counted AS (
    SELECT shown.account_id, shown.kind, shown.used_today, shown.used_in_week, coalesce(shown.pending_invites, 0) AS pending_invites,
        coalesce(used.today, 0) AS today, coalesce(used.in_week, 0) AS in_week,
        CASE WHEN shown.kind = 'invite' THEN least(coalesce(invited.n, 0), (SELECT s.pending_invites FROM thaw.settings AS s)) ELSE 0 END AS pending
    FROM shown
    LEFT JOIN used ON used.account_id = shown.account_id AND used.kind = shown.kind
    LEFT JOIN invited ON invited.sender_id = shown.sender_id
)
SELECT format('account %s, %s: %s used today, %s in 168 hours and %s invites open; in its actions %s, %s and %s',
    counted.account_id, counted.kind, counted.used_today, counted.used_in_week, counted.pending_invites,
    counted.today, counted.in_week, counted.pending)
FROM counted
WHERE (counted.used_today, counted.used_in_week, counted.pending_invites) IS DISTINCT FROM (counted.today, counted.in_week, counted.pending)
