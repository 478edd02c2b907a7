-- What the slice would change: existing enrollments by kind of change, and how many rows exist.
SELECT count(*) FILTER (WHERE change.from_status IN ('pending', 'active') AND change.status = 'paused'),
    count(*) FILTER (WHERE change.from_status = 'paused' AND change.status IN ('pending', 'active')),
    count(*) FILTER (WHERE change.from_status IN ('pending', 'active', 'paused') AND change.status NOT IN ('pending', 'active', 'paused')),
    count(*),
    (SELECT count(*) FROM import_rows AS r WHERE r.enrollment_id IS NOT NULL)
FROM import_changes AS change;
