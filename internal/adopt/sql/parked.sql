-- The rows of the platform that are parked, by kind and code, most rows first.
SELECT k.kind, k.code, count(DISTINCT k.external_id), min(k.external_id), min(k.problem)
FROM (
    SELECT x.kind, x.code, x.external_id, x.problem FROM thaw.adopt_errors AS x
    WHERE x.external_id IS NOT NULL AND NOT x.is_deferred
    LIMIT 100000) AS k
GROUP BY k.kind, k.code
ORDER BY count(DISTINCT k.external_id) DESC, k.kind, k.code
LIMIT $1;
