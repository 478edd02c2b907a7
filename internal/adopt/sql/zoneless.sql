-- How many adopted accounts have actions to send, but no sending window, because neither they nor
-- their windows have a known time zone. Counted up to 10,000.
SELECT count(*) FROM (
    SELECT FROM thaw.accounts AS a
    WHERE a.external_id IS NOT NULL AND a.status <> 'removed' AND thaw.zone_named(a.timezone) IS NULL
        AND EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = a.id AND e.due_at IS NOT NULL)
        AND thaw.window_from(a.id, thaw.now()) IS NULL
    LIMIT 10000) AS counted;
