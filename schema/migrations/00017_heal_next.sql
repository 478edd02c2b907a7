-- How a batch of a heal (00018_heal_batch.sql) chooses its prospects: those after the last one of
-- the previous batch, in the order of the heal. A heal of a workspace or an account reads the
-- index of waiting prospects; a heal of listed prospects reads its list. Nothing is locked here.

-- +goose Up

-- The source accounts of a heal with waiting prospects, by id, from p_from on; for a heal of a
-- workspace or of the fleet at most p_limit.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_sources(p_heal thaw.heals, p_from bigint, p_limit integer) RETURNS bigint[] LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_heal.account_id IS NOT NULL THEN
        RETURN (
            SELECT array_agg(DISTINCT source.id)
            FROM unnest(thaw.sources_of(p_heal.account_id) || p_heal.account_id) AS source (id)
            WHERE source.id >= p_from);
    ELSIF p_heal.is_fleet THEN
        -- A loose index scan: it reads the accounts that have waiting prospects, and no others.
        RETURN (
            WITH RECURSIVE source AS (
                (SELECT e.account_id AS id, 1 AS n
                 FROM thaw.enrollments AS e
                 WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id >= p_from
                 ORDER BY e.account_id LIMIT 1)
                UNION ALL
                SELECT (SELECT e.account_id
                        FROM thaw.enrollments AS e
                        WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id > source.id
                        ORDER BY e.account_id LIMIT 1), source.n + 1
                FROM source
                WHERE source.id IS NOT NULL AND source.n < p_limit)
            SELECT array_agg(source.id ORDER BY source.id) FROM source WHERE source.id IS NOT NULL);
    END IF;
    RETURN (
        SELECT array_agg(source.id) FROM (
            SELECT a.id
            FROM thaw.accounts AS a
            WHERE a.workspace_id = p_heal.workspace_id AND a.id >= p_from
                AND (
                    SELECT e.account_id FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id
                    ORDER BY e.campaign_id LIMIT 1) IS NOT NULL
            ORDER BY a.workspace_id, a.id
            LIMIT p_limit) AS source);
END;
$$;
-- +goose StatementEnd

-- Chooses the next prospects of a heal, at most p_quota, as arrays of equal length: row address,
-- source account, campaign and target account. p_heal is returned with the position of the last
-- one. at_end: there are no further prospects. Locks nothing and does not check whether a target is
-- blocked, because the batch has to check that under the lock.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_next(
    INOUT p_heal thaw.heals, p_quota integer,
    OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[], OUT target_ids bigint[], OUT at_end boolean
) LANGUAGE plpgsql AS $$
DECLARE
    by_time    boolean := p_heal.oldest_first;
    -- Reads the rows of an account in index order, regardless of campaign. The batch finds a
    -- campaign that was stopped after the count and passes over it; the next round looks up
    -- campaigns first.
    straight   boolean := p_heal.all_campaigns_open AND NOT by_time AND p_heal.round = 1;
    -- How many accounts to check at a time: about as many as fill the batch, then more. `most`
    -- limits the accounts per batch: where few can be resumed, a batch stays short.
    width      integer := greatest(20, least(p_quota, greatest(
        1.2 * p_quota * coalesce(p_heal.accounts, 1) / greatest(p_heal.found, 10),
        p_quota / p_heal.account_share)));
    most       constant integer := 20000;
    looked_at  integer := 0;
    next_id    bigint := coalesce(p_heal.at_account_id, 0);
    taken      integer := 0;
    sources    bigint[];
    -- Lines: source account, campaign and target; and the first and last line of each account.
    line_sources   bigint[];
    line_campaigns bigint[];
    line_targets   bigint[];
    firsts         integer[];
    lasts          integer[];
    more_places    tid[];
    more_lines     integer[];
    more_paused    timestamptz[];
    more_ids       bigint[];
BEGIN
    places := '{}';
    source_ids := '{}';
    campaign_ids := '{}';
    target_ids := '{}';
    WHILE taken < p_quota LOOP
        sources := thaw.heal_sources(p_heal, next_id, width);
        IF sources IS NULL THEN
            EXIT;
        END IF;
        next_id := sources[cardinality(sources)] + 1;
        looked_at := looked_at + cardinality(sources);
        IF NOT straight THEN
            -- The campaigns of each account, by a loose index scan that starts where the last batch
            -- ended.
            SELECT array_agg(line.source_id), array_agg(line.campaign_id), array_agg(line.target_id)
            INTO line_sources, line_campaigns, line_targets
            FROM (
                SELECT source.id AS source_id, source.target_id, campaign.id AS campaign_id
                FROM (
                    SELECT one.id, one.place,
                        (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = one.id LIMIT 1) AS target_id,
                        CASE WHEN one.id = p_heal.at_account_id AND NOT by_time THEN p_heal.at_campaign_id ELSE 0 END AS from_campaign
                    FROM unnest(sources) WITH ORDINALITY AS one (id, place)
                    OFFSET 0) AS source
                CROSS JOIN LATERAL (
                    WITH RECURSIVE loose AS (
                        (SELECT e.campaign_id
                         FROM thaw.enrollments AS e
                         WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = source.id
                            AND e.campaign_id >= source.from_campaign
                         ORDER BY e.campaign_id LIMIT 1)
                        UNION ALL
                        SELECT (SELECT e.campaign_id
                                FROM thaw.enrollments AS e
                                WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = source.id
                                    AND e.campaign_id > loose.campaign_id
                                ORDER BY e.campaign_id LIMIT 1)
                        FROM loose
                        WHERE loose.campaign_id IS NOT NULL)
                    SELECT loose.campaign_id FROM loose WHERE loose.campaign_id IS NOT NULL) AS waiting
                CROSS JOIN LATERAL (
                    SELECT c.id FROM thaw.campaigns AS c
                    WHERE c.id = waiting.campaign_id AND thaw.allows_resume(c.status, c.waits_for_account)
                    LIMIT 1) AS campaign
                WHERE source.target_id IS NOT NULL
                ORDER BY source.place, campaign.id) AS line;
        END IF;

        IF straight THEN
            SELECT array_agg(picked.ctid), array_agg(picked.source_id), array_agg(picked.campaign_id), array_agg(picked.target_id),
                array_agg(picked.paused_at), array_agg(picked.id)
            INTO more_places, line_sources, line_campaigns, line_targets, more_paused, more_ids
            FROM (
                SELECT next.*, source.id AS source_id, source.target_id
                FROM (
                    SELECT one.id,
                        (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = one.id LIMIT 1) AS target_id
                    FROM unnest(sources) AS one (id)
                    OFFSET 0) AS source
                CROSS JOIN LATERAL (
                    SELECT e.ctid, e.campaign_id, e.paused_at, e.id
                    FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = source.id
                        AND (e.campaign_id, e.paused_at, e.id) > (
                            CASE WHEN source.id = p_heal.at_account_id THEN p_heal.at_campaign_id ELSE 0 END,
                            CASE WHEN source.id = p_heal.at_account_id THEN p_heal.at_paused_at ELSE '-infinity' END,
                            CASE WHEN source.id = p_heal.at_account_id THEN p_heal.at_enrollment_id ELSE 0 END)
                    ORDER BY e.campaign_id, e.paused_at, e.id
                    LIMIT p_quota - taken) AS next
                WHERE source.target_id IS NOT NULL
                LIMIT p_quota - taken) AS picked;
            more_lines := ARRAY(SELECT generate_series(1, cardinality(more_places)));
        ELSIF line_sources IS NULL THEN
            more_places := NULL;
        ELSIF by_time THEN
            SELECT array_agg(lines.first), array_agg(lines.last) INTO firsts, lasts
            FROM (
                SELECT min(line.place)::integer AS first, max(line.place)::integer AS last
                FROM unnest(line_sources) WITH ORDINALITY AS line (source_id, place)
                GROUP BY line.source_id ORDER BY line.source_id) AS lines;
            SELECT array_agg(picked.ctid), array_agg(picked.line), array_agg(picked.paused_at), array_agg(picked.id)
            INTO more_places, more_lines, more_paused, more_ids
            FROM (
                SELECT next.*
                FROM unnest(firsts, lasts) AS source (first, last)
                CROSS JOIN LATERAL (
                    SELECT oldest.ctid, line AS line, oldest.paused_at, oldest.id
                    FROM generate_series(source.first, source.last) AS line
                    CROSS JOIN LATERAL (
                        SELECT e.ctid, e.paused_at, e.id
                        FROM thaw.enrollments AS e
                        WHERE e.status = 'paused' AND e.waits_for_account
                            AND e.account_id = line_sources[line] AND e.campaign_id = line_campaigns[line]
                            AND (e.paused_at, e.id) > (
                                CASE WHEN line_sources[line] = p_heal.at_account_id THEN p_heal.at_paused_at ELSE '-infinity' END,
                                CASE WHEN line_sources[line] = p_heal.at_account_id THEN p_heal.at_enrollment_id ELSE 0 END)
                        ORDER BY e.paused_at, e.id
                        LIMIT p_quota - taken) AS oldest
                    ORDER BY oldest.paused_at, oldest.id
                    -- Its share, less what earlier batches of this pass have chosen.
                    LIMIT least(p_quota - taken, p_heal.account_share - least(p_heal.account_share,
                        CASE WHEN line_sources[source.first] = p_heal.at_account_id THEN p_heal.at_account_chosen ELSE 0 END))) AS next
                LIMIT p_quota - taken) AS picked;
        ELSE
            SELECT array_agg(picked.ctid), array_agg(picked.line), array_agg(picked.paused_at), array_agg(picked.id)
            INTO more_places, more_lines, more_paused, more_ids
            FROM (
                SELECT next.ctid, line AS line, next.paused_at, next.id
                FROM generate_series(1, cardinality(line_sources)) AS line
                CROSS JOIN LATERAL (
                    SELECT e.ctid, e.paused_at, e.id
                    FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account
                        AND e.account_id = line_sources[line] AND e.campaign_id = line_campaigns[line]
                        AND (e.paused_at, e.id) > (
                            CASE WHEN line_sources[line] = p_heal.at_account_id AND line_campaigns[line] = p_heal.at_campaign_id
                                THEN p_heal.at_paused_at ELSE '-infinity' END,
                            CASE WHEN line_sources[line] = p_heal.at_account_id AND line_campaigns[line] = p_heal.at_campaign_id
                                THEN p_heal.at_enrollment_id ELSE 0 END)
                    ORDER BY e.paused_at, e.id
                    LIMIT p_quota - taken) AS next
                LIMIT p_quota - taken) AS picked;
        END IF;

        IF more_places IS NOT NULL THEN
            taken := taken + cardinality(more_places);
            places := places || more_places;
            SELECT source_ids || array_agg(line_sources[line]), campaign_ids || array_agg(line_campaigns[line]),
                target_ids || array_agg(line_targets[line])
            INTO source_ids, campaign_ids, target_ids
            FROM unnest(more_lines) AS line;
        END IF;
        width := least(2 * width, p_quota);
        at_end := false;
        EXIT WHEN looked_at >= most;
        at_end := NULL;
    END LOOP;
    at_end := coalesce(at_end, taken < p_quota);
    -- The later passes over the accounts do not count them again.
    IF p_heal.round = 1 AND taken > 0 AND p_heal.pass = 1 THEN
        p_heal.accounts_done := p_heal.accounts_done + (
            SELECT count(DISTINCT source.id)
            FROM unnest(source_ids || p_heal.at_account_id) AS source (id)
            WHERE source.id < source_ids[taken]);
    END IF;
    IF taken < p_quota AND NOT at_end THEN
        p_heal.at_account_chosen := 0;
        p_heal.at_account_id := next_id;
        p_heal.at_campaign_id := 0;
        p_heal.at_paused_at := '-infinity';
        p_heal.at_enrollment_id := 0;
    ELSIF taken > 0 THEN
        p_heal.at_account_chosen := cardinality(array_positions(source_ids, source_ids[taken]))
            + CASE WHEN source_ids[taken] = p_heal.at_account_id THEN p_heal.at_account_chosen ELSE 0 END;
        p_heal.at_account_id := source_ids[taken];
        p_heal.at_campaign_id := campaign_ids[taken];
        p_heal.at_paused_at := more_paused[cardinality(more_paused)];
        p_heal.at_enrollment_id := more_ids[cardinality(more_ids)];
    END IF;
END;
$$;
-- +goose StatementEnd

-- The same for a list: by id in the first batch, then by place in heal_order. Prospects are looked
-- up again, because their account or status may have changed since the list was made.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_next_listed(
    INOUT p_heal thaw.heals, p_quota integer,
    OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[], OUT target_ids bigint[], OUT at_end boolean
) LANGUAGE plpgsql AS $$
DECLARE
    at_id bigint := coalesce(p_heal.at_enrollment_id, 0);
    -- The next ids of the list, including prospects that no longer wait.
    ids   bigint[];
BEGIN
    IF p_heal.at_place IS NULL THEN
        SELECT array_agg(next.id ORDER BY next.id) INTO ids
        FROM (
            SELECT given.id
            FROM (
                SELECT part.enrollment_ids
                FROM thaw.heal_enrollments AS part
                WHERE part.heal_id = p_heal.id AND part.last_id > at_id
                ORDER BY part.last_id
                LIMIT 2 + p_quota / 200) AS listed
            CROSS JOIN LATERAL unnest(listed.enrollment_ids) AS given (id)
            WHERE given.id > at_id
            ORDER BY given.id
            LIMIT p_quota) AS next;
        p_heal.at_enrollment_id := coalesce(ids[cardinality(ids)], p_heal.at_enrollment_id);
        at_end := NOT EXISTS (
            SELECT FROM thaw.heal_enrollments AS part
            WHERE part.heal_id = p_heal.id AND part.last_id > coalesce(p_heal.at_enrollment_id, 0));
    ELSE
        SELECT array_agg(next.id ORDER BY next.place) INTO ids
        FROM (
            SELECT given.id, listed.last_place - cardinality(listed.enrollment_ids) + given.n AS place
            FROM (
                SELECT part.last_place, part.enrollment_ids
                FROM thaw.heal_order AS part
                WHERE part.heal_id = p_heal.id AND part.last_place > p_heal.at_place
                ORDER BY part.last_place
                LIMIT 2 + p_quota / 200) AS listed
            CROSS JOIN LATERAL unnest(listed.enrollment_ids) WITH ORDINALITY AS given (id, n)
            WHERE listed.last_place - cardinality(listed.enrollment_ids) + given.n > p_heal.at_place
            ORDER BY place
            LIMIT p_quota) AS next;
        p_heal.at_place := p_heal.at_place + coalesce(cardinality(ids), 0);
        at_end := NOT EXISTS (
            SELECT FROM thaw.heal_order AS part
            WHERE part.heal_id = p_heal.id AND part.last_place > p_heal.at_place);
    END IF;
    WITH chosen AS MATERIALIZED (
        SELECT e.ctid, listed.place, e.account_id, e.campaign_id
        FROM (
            SELECT one.ctid, one.id, one.account_id, one.campaign_id
            FROM thaw.enrollments AS one
            WHERE one.id = ANY (ids) AND one.waits_for_account
            OFFSET 0) AS e
        JOIN unnest(ids) WITH ORDINALITY AS listed (id, place) ON listed.id = e.id
    ), targets AS MATERIALIZED (
        SELECT source.id,
            (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = source.id LIMIT 1) AS target_id
        FROM (SELECT DISTINCT chosen.account_id AS id FROM chosen OFFSET 0) AS source
    ), campaigns AS MATERIALIZED (
        SELECT used.id
        FROM (SELECT DISTINCT chosen.campaign_id AS id FROM chosen) AS used
        CROSS JOIN LATERAL (
            SELECT FROM thaw.campaigns AS c
            WHERE c.id = used.id AND thaw.allows_resume(c.status, c.waits_for_account)
            LIMIT 1) AS c
    )
    SELECT coalesce(array_agg(line.ctid), '{}'), array_agg(line.account_id), array_agg(line.campaign_id),
        array_agg(line.target_id)
    INTO places, source_ids, campaign_ids, target_ids
    FROM (
        SELECT chosen.ctid, chosen.account_id, chosen.campaign_id, targets.target_id
        FROM chosen
        JOIN targets ON targets.id = chosen.account_id AND targets.target_id IS NOT NULL
        JOIN campaigns ON campaigns.id = chosen.campaign_id
        ORDER BY chosen.place) AS line;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION thaw.heal_next_listed(thaw.heals, integer);
DROP FUNCTION thaw.heal_next(thaw.heals, integer);
DROP FUNCTION thaw.heal_sources(thaw.heals, bigint, integer);
