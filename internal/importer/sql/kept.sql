-- Number of kept enrollments of the slice: those that a person or a restriction paused, those
-- resumed after the pause in the file, and those that are otherwise newer than the file.
SELECT coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'stopped'), 0)::bigint,
    coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'resumed'), 0)::bigint,
    coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'newer'), 0)::bigint
FROM import_kept AS k;
