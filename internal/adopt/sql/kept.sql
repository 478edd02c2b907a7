-- Which rows of the platform have a change that is not in the copy: it waits, or needs a person.
SELECT DISTINCT x.external_id FROM thaw.adopt_errors AS x WHERE x.kind = $1 AND x.external_id = ANY ($2::text[]);
