-- How many enrollments of the slice stay as they are: what a person or a restriction stopped, and what was resumed since.
SELECT coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'stopped'), 0)::bigint,
    coalesce(sum(k.enrollments) FILTER (WHERE k.kept = 'resumed'), 0)::bigint
FROM import_kept AS k;
