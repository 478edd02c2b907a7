-- The newest changes that could not be applied to the copy.
SELECT x.kind, coalesce(x.external_id, ''), x.code, x.problem, x.is_deferred, x.at
FROM thaw.adopt_errors AS x
ORDER BY x.id DESC
LIMIT $1;
