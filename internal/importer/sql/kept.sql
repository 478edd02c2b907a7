-- Number of kept enrollments of the slice: those that a person or a restriction paused, and those
-- resumed after the pause in the file.
SELECT coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'stopped'), 0)::bigint,
    coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'resumed'), 0)::bigint
FROM import_kept AS k;
