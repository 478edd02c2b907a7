-- The adoption as a whole.
SELECT s.started_at, s.phase, coalesce(s.mapping, ''), s.checked_at, coalesce(s.rows_checked, 0), coalesce(s.drift_rows, 0), coalesce(s.drift_detail, ''),
    sum.parked, sum.deferred, sum.failed_statements, sum.changes, sum.oldest_change_at, coalesce(sum.is_over_limit, false), s.shadow_by_default,
    s.problems, s.check_due_at, sum.held_accounts, s.consumer, s.consumer_error, s.consumer_error_at, s.consumer_error_ended_at
FROM thaw.adopt_state AS s
CROSS JOIN thaw.adopt_summary AS sum;
