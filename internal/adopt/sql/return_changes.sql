-- Puts changes back that this transaction has taken (a JSON array), because the platform has locked
-- their rows. They go to the end of the queue, so that the changes of other rows come first, and
-- keep the time since which they wait.
INSERT INTO thaw.changes_queue (kind, row_id, from_status, from_account_id, cause, at)
SELECT g.kind, copy.id, g.from_status, moved.id, g.cause, g.at
FROM jsonb_to_recordset($1::jsonb) AS g (kind text, id text, from_status text, moved_from text, cause text, at timestamptz)
CROSS JOIN LATERAL (
    SELECT a.id FROM thaw.accounts AS a WHERE g.kind = 'account' AND a.external_id = g.id
    UNION ALL
    SELECT c.id FROM thaw.campaigns AS c WHERE g.kind = 'campaign' AND c.external_id = g.id
    UNION ALL
    SELECT e.id FROM thaw.enrollments AS e WHERE g.kind = 'enrollment' AND e.external_id = g.id) AS copy
LEFT JOIN thaw.accounts AS moved ON moved.external_id = g.moved_from
ORDER BY g.kind, copy.id;
