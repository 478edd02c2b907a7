-- What operators and the platform set about sending: limits, ceilings, windows, holds of one kind,
-- the ramp, the steps of campaigns, and what people found out about an action of which the outcome
-- is unknown.
--
-- Everything but the steps is recorded in the audit log, with a reason. thaw.set_action_ceiling and
-- thaw.correct_action_hold are for the owner of the schema. The others may be granted to the
-- platform.

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION thaw.require_sending_reason(p_reason text, p_actor text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor), thaw.require_actor(p_actor);
    IF length(p_reason) > 1000 THEN
        RAISE EXCEPTION 'the reason is % characters long', length(p_reason)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use at most 1,000 characters.';
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.require_kind(p_kind text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_kind IS NULL OR NOT EXISTS (SELECT FROM thaw.action_kinds AS k WHERE k.kind = p_kind) THEN
        RAISE EXCEPTION 'the kind "%" is unknown', coalesce(left(p_kind, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value',
                HINT = format('Use one of: %s.', (SELECT string_agg(k.kind, ', ' ORDER BY k.kind) FROM thaw.action_kinds AS k));
    END IF;
END;
$$;
-- +goose StatementEnd

-- Limits in words, for the audit log.
-- +goose StatementBegin
CREATE FUNCTION thaw.limit_text(p_kind text, p_per_day integer, p_per_week integer, p_gap_from interval, p_gap_to interval)
RETURNS text LANGUAGE sql STABLE
RETURN p_kind || ': ' || coalesce(nullif(concat_ws(', ', p_per_day || ' per day', p_per_week || ' per 7 days',
    'gap ' || p_gap_from || coalesce(' to ' || p_gap_to, '')), ''), 'no limit of its own');
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.set_action_limit(
    workspace text, kind text, per_day integer DEFAULT NULL, per_week integer DEFAULT NULL, gap_from interval DEFAULT NULL,
    gap_to interval DEFAULT NULL, account text DEFAULT NULL, campaign text DEFAULT NULL, reason text DEFAULT NULL,
    actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_workspace bigint;
    of_account   bigint;
    of_campaign  bigint;
    ceiling      thaw.action_ceilings;
    is_changed   boolean;
BEGIN
    PERFORM thaw.require_sending_reason(set_action_limit.reason, set_action_limit.actor), thaw.require_kind(set_action_limit.kind);
    of_workspace := thaw.find_workspace(set_action_limit.workspace);
    IF set_action_limit.account IS NOT NULL AND set_action_limit.campaign IS NOT NULL THEN
        RAISE EXCEPTION 'a limit is of an account or of a campaign, not of both'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Set two limits.';
    ELSIF set_action_limit.account IS NOT NULL THEN
        of_account := thaw.find_account(set_action_limit.account, set_action_limit.provider, of_workspace);
    ELSIF set_action_limit.campaign IS NOT NULL THEN
        of_campaign := thaw.find_campaign(set_action_limit.workspace, set_action_limit.campaign);
    END IF;
    SELECT c.* INTO ceiling FROM thaw.action_ceilings AS c WHERE c.kind = set_action_limit.kind;
    IF (gap_from IS NULL) <> (gap_to IS NULL) OR gap_from > gap_to OR gap_from < '0' OR gap_to > '1 day' THEN
        RAISE EXCEPTION 'the gap is from % to %', coalesce(gap_from::text, 'null'), coalesce(gap_to::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give both ends, the shorter one first, from 0 to 1 day.';
    ELSIF of_campaign IS NOT NULL AND num_nonnulls(per_week, gap_from) > 0 THEN
        RAISE EXCEPTION 'a campaign has a cap per day only'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Set the others for its accounts or for the workspace.';
    ELSIF per_day NOT BETWEEN 0 AND 100000 OR per_week NOT BETWEEN 0 AND 1000000 THEN
        RAISE EXCEPTION 'a cap is out of range: %', thaw.limit_text(set_action_limit.kind, per_day, per_week, NULL, NULL)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 0 to 100,000 per day and 0 to 1,000,000 per 7 days.';
    ELSIF of_campaign IS NULL AND (per_day > ceiling.per_day OR per_week > ceiling.per_week OR gap_from < ceiling.gap_from) THEN
        RAISE EXCEPTION 'the limit is above the ceiling of the fleet (%)',
                thaw.limit_text(ceiling.kind, ceiling.per_day, ceiling.per_week, ceiling.gap_from, NULL)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Stay below it. An operator can raise it with thaw limits clamp or thaw.set_action_ceiling.';
    END IF;
    IF num_nonnulls(per_day, per_week, gap_from) = 0 THEN
        DELETE FROM thaw.action_overrides AS o
        WHERE o.workspace_id = of_workspace AND o.account_id IS NOT DISTINCT FROM of_account
            AND o.campaign_id IS NOT DISTINCT FROM of_campaign AND o.kind = set_action_limit.kind;
    ELSE
        INSERT INTO thaw.action_overrides AS o (workspace_id, account_id, campaign_id, kind, per_day, per_week, gap_from, gap_to, reason, actor)
        VALUES (of_workspace, of_account, of_campaign, set_action_limit.kind, set_action_limit.per_day, set_action_limit.per_week,
            set_action_limit.gap_from, set_action_limit.gap_to, set_action_limit.reason, set_action_limit.actor)
        ON CONFLICT ON CONSTRAINT action_overrides_of_one DO UPDATE SET
            per_day = excluded.per_day, per_week = excluded.per_week, gap_from = excluded.gap_from, gap_to = excluded.gap_to,
            reason = excluded.reason, actor = excluded.actor, changed_at = thaw.now()
        WHERE (o.per_day, o.per_week, o.gap_from, o.gap_to)
            IS DISTINCT FROM (excluded.per_day, excluded.per_week, excluded.gap_from, excluded.gap_to);
    END IF;
    is_changed := FOUND;
    IF is_changed THEN
        INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id, campaign_id)
        VALUES ('limit_set', set_action_limit.actor, set_action_limit.reason,
            thaw.limit_text(set_action_limit.kind, per_day, per_week, gap_from, gap_to), of_workspace, of_account, of_campaign);
    END IF;
    RETURN is_changed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_action_limit(text, text, integer, integer, interval, interval, text, text, text, text, text) IS
    'Sets what limits a kind of action of a workspace, or of one of its accounts or campaigns, in place of the default limits (thaw.action_limits). A null cap or gap keeps the default; all null removes the limit. Caps above the ceiling of the fleet are refused. A campaign has a cap per day only. Returns false if nothing changed.';

-- +goose StatementBegin
CREATE FUNCTION thaw.set_action_ceiling(
    kind text, per_day integer DEFAULT NULL, per_week integer DEFAULT NULL, gap_from interval DEFAULT NULL, reason text DEFAULT NULL,
    actor text DEFAULT current_user
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ceiling thaw.action_ceilings;
BEGIN
    PERFORM thaw.require_sending_reason(set_action_ceiling.reason, set_action_ceiling.actor), thaw.require_kind(set_action_ceiling.kind);
    IF num_nonnulls(per_day, per_week, gap_from) = 0 THEN
        RAISE EXCEPTION 'no ceiling was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a cap per day, a cap per 7 days, or a gap.';
    ELSIF per_day NOT BETWEEN 0 AND 100000 OR per_week NOT BETWEEN 0 AND 1000000 OR gap_from NOT BETWEEN '0' AND '1 day' THEN
        RAISE EXCEPTION 'the ceiling is out of range: %', thaw.limit_text(set_action_ceiling.kind, per_day, per_week, gap_from, NULL)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 0 to 100,000 per day, 0 to 1,000,000 per 7 days, and a gap of 0 to 1 day.';
    END IF;
    SELECT c.* INTO ceiling FROM thaw.action_ceilings AS c WHERE c.kind = set_action_ceiling.kind FOR NO KEY UPDATE;
    IF ceiling.kind IS NULL AND per_day IS NULL THEN
        RAISE EXCEPTION 'the kind % has no ceiling yet', set_action_ceiling.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give its cap per day too.';
    END IF;
    INSERT INTO thaw.action_ceilings AS c (kind, per_day, per_week, gap_from)
    VALUES (set_action_ceiling.kind, coalesce(set_action_ceiling.per_day, ceiling.per_day), coalesce(set_action_ceiling.per_week, ceiling.per_week),
        coalesce(set_action_ceiling.gap_from, ceiling.gap_from, '0'))
    ON CONFLICT ON CONSTRAINT action_ceilings_pkey DO UPDATE SET
        per_day = excluded.per_day, per_week = excluded.per_week, gap_from = excluded.gap_from, changed_at = thaw.now()
    WHERE (c.per_day, c.per_week, c.gap_from) IS DISTINCT FROM (excluded.per_day, excluded.per_week, excluded.gap_from);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT c.* INTO ceiling FROM thaw.action_ceilings AS c WHERE c.kind = set_action_ceiling.kind;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail)
    VALUES ('ceiling_set', set_action_ceiling.actor, set_action_ceiling.reason,
        thaw.limit_text(ceiling.kind, ceiling.per_day, ceiling.per_week, ceiling.gap_from, NULL));
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_action_ceiling(text, integer, integer, interval, text, text) IS
    'Sets the most that any limit of a kind may allow in the fleet, and the shortest gap. A null value stays as it is. Limits above the ceiling are cut to it. Only the owner of the schema may call it. Returns false if nothing changed.';

-- The windows of a workspace or an account, from JSON. An error names the window.
-- +goose StatementBegin
CREATE FUNCTION thaw.windows_of(p_windows jsonb) RETURNS TABLE (weekdays smallint[], opens time, closes time, timezone text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given record;
    place text;
BEGIN
    IF jsonb_typeof(p_windows) IS DISTINCT FROM 'array' OR jsonb_array_length(p_windows) > 50 THEN
        RAISE EXCEPTION 'the windows are not a list of at most 50 windows'
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Use for example [{"weekdays": [1, 2, 3, 4, 5], "opens": "09:00", "closes": "17:00", "timezone": "Europe/Berlin"}].';
    END IF;
    FOR given IN SELECT w.value, w.n FROM jsonb_array_elements(p_windows) WITH ORDINALITY AS w (value, n) LOOP
        place := 'window ' || given.n;
        IF jsonb_typeof(given.value) <> 'object' OR given.value - '{weekdays,opens,closes,timezone}'::text[] <> '{}' THEN
            RAISE EXCEPTION '% is not an object with weekdays, opens, closes and timezone', place
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Remove other fields. timezone may be left out.';
        ELSIF jsonb_typeof(given.value -> 'weekdays') IS DISTINCT FROM 'array'
            OR jsonb_array_length(given.value -> 'weekdays') NOT BETWEEN 1 AND 7
            OR NOT given.value -> 'weekdays' <@ '[1, 2, 3, 4, 5, 6, 7]'
        THEN
            RAISE EXCEPTION '% has no valid weekdays', place
                USING ERRCODE = 'invalid_parameter_value', HINT = 'List ISO weekdays: 1 is Monday, 7 is Sunday.';
        ELSIF coalesce(given.value ->> 'opens' !~ '^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$', true)
            OR coalesce(given.value ->> 'closes' !~ '^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|24:00)$', true)
            OR (given.value ->> 'opens')::time = (given.value ->> 'closes')::time
        THEN
            RAISE EXCEPTION '% opens at % and closes at %', place, coalesce(left(given.value ->> 'opens', 20), 'null'),
                    coalesce(left(given.value ->> 'closes', 20), 'null')
                USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'Use two different times such as 09:00 and 17:00. A window that closes at or before it opens closes on the next day.';
        ELSIF given.value ->> 'timezone' IS NOT NULL AND thaw.zone_named(given.value ->> 'timezone') IS NULL THEN
            RAISE EXCEPTION '% has an unknown time zone: "%"', place, left(given.value ->> 'timezone', 64)
                USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'Use an IANA name such as Europe/Berlin, or leave it out: the zone of each account applies then.';
        END IF;
        weekdays := ARRAY(SELECT DISTINCT d.day::numeric::smallint FROM jsonb_array_elements_text(given.value -> 'weekdays') AS d (day) ORDER BY 1);
        opens := given.value ->> 'opens';
        closes := given.value ->> 'closes';
        timezone := thaw.zone_named(given.value ->> 'timezone');
        RETURN NEXT;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.set_sending_windows(
    workspace text, windows jsonb, account text DEFAULT NULL, reason text DEFAULT NULL, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_workspace bigint;
    of_account   bigint;
    added        integer;
    detail       text;
BEGIN
    PERFORM thaw.require_sending_reason(set_sending_windows.reason, set_sending_windows.actor);
    IF set_sending_windows.workspace IS NOT NULL THEN
        of_workspace := thaw.find_workspace(set_sending_windows.workspace);
    END IF;
    IF set_sending_windows.account IS NOT NULL THEN
        of_account := thaw.find_account(set_sending_windows.account, set_sending_windows.provider, of_workspace);
        of_workspace := (SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.id = of_account);
    ELSIF of_workspace IS NULL AND set_sending_windows.windows = '[]' THEN
        RAISE EXCEPTION 'the windows of the fleet cannot be removed'
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Accounts without windows of their own would send nothing. Set other windows, or put the accounts on hold.';
    END IF;
    -- Two calls would otherwise each remove the old windows and add their own.
    LOCK TABLE thaw.sending_windows IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM thaw.sending_windows AS w
    WHERE w.workspace_id IS NOT DISTINCT FROM of_workspace AND w.account_id IS NOT DISTINCT FROM of_account;
    WITH added AS (
        INSERT INTO thaw.sending_windows (workspace_id, account_id, weekdays, opens, closes, timezone)
        SELECT of_workspace, of_account, w.weekdays, w.opens, w.closes, w.timezone FROM thaw.windows_of(set_sending_windows.windows) AS w
        RETURNING id, weekdays, opens, closes, timezone
    )
    SELECT count(*), string_agg(format('weekdays %s %s to %s%s', array_to_string(a.weekdays, ','), to_char(a.opens, 'HH24:MI'),
        CASE WHEN a.closes = '24:00' THEN '24:00' ELSE to_char(a.closes, 'HH24:MI') END, ' ' || a.timezone), '; ' ORDER BY a.id)
    INTO added, detail FROM added AS a;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('windows_set', set_sending_windows.actor, set_sending_windows.reason, coalesce(detail, 'no windows of its own'), of_workspace, of_account);
    RETURN added;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_sending_windows(text, jsonb, text, text, text, text) IS
    'Replaces the sending windows of an account, of a workspace (account null), or of the fleet (both null): [{"weekdays": [1, 2], "opens": "09:00", "closes": "17:00", "timezone": "Europe/Berlin"}], at most 50. Weekdays are ISO numbers, 1 is Monday. timezone may be left out: that of each account applies. An empty list removes them, so that those of the workspace or the fleet apply. Returns how many there are now.';

-- +goose StatementBegin
CREATE FUNCTION thaw.hold_action_kind(
    account text, kind text, until timestamptz, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held    thaw.accounts;
    current timestamptz;
BEGIN
    PERFORM thaw.require_sending_reason(hold_action_kind.reason, hold_action_kind.actor), thaw.require_kind(hold_action_kind.kind);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(hold_action_kind.account, hold_action_kind.provider) FOR NO KEY UPDATE;
    IF hold_action_kind.until IS NULL OR hold_action_kind.until <= thaw.now()
        OR hold_action_kind.until > thaw.now() + thaw.longest_hold()
    THEN
        RAISE EXCEPTION 'a hold must end in the future and within a year, not %', coalesce('at ' || thaw.job_time(hold_action_kind.until), 'never')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Check the year, and set another end.';
    END IF;
    SELECT h.until INTO current FROM thaw.action_holds AS h WHERE h.account_id = held.id AND h.kind = hold_action_kind.kind;
    IF current > hold_action_kind.until THEN
        RAISE EXCEPTION 'the kind % is on hold until %', hold_action_kind.kind, thaw.job_time(current)
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Set a later end. An operator can correct a mistaken hold with thaw hold --correct or thaw.correct_action_hold.';
    END IF;
    -- The hold is of the person, so that a second account does not go on.
    PERFORM thaw.ensure_senders(ARRAY[held.id]);
    PERFORM thaw.hold_kind(held.id, hold_action_kind.kind, hold_action_kind.until, 'person', hold_action_kind.reason, hold_action_kind.actor);
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('kind_held', hold_action_kind.actor, hold_action_kind.reason,
        hold_action_kind.kind || ' until ' || thaw.job_time(hold_action_kind.until), held.workspace_id, held.id);
    RETURN hold_action_kind.until;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.hold_action_kind(text, text, timestamptz, text, text, text) IS
    'Puts one kind of action of an account on hold until a time at most a year away; other kinds go on. An existing hold can only be extended; operators can correct one with thaw.correct_action_hold.';

-- +goose StatementBegin
CREATE FUNCTION thaw.correct_action_hold(
    account text, kind text, until timestamptz, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held thaw.accounts;
BEGIN
    PERFORM thaw.require_sending_reason(correct_action_hold.reason, correct_action_hold.actor), thaw.require_kind(correct_action_hold.kind);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(correct_action_hold.account, correct_action_hold.provider) FOR NO KEY UPDATE;
    IF correct_action_hold.until <= thaw.now() OR correct_action_hold.until > thaw.now() + interval '10 years' THEN
        RAISE EXCEPTION 'a hold must end in the future, at most 10 years away, not at %', thaw.job_time(correct_action_hold.until)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'To end the hold now, omit the end (null in SQL).';
    ELSIF NOT EXISTS (
        SELECT FROM thaw.action_holds AS h WHERE h.account_id = held.id AND h.kind = correct_action_hold.kind AND h.until > thaw.now())
    THEN
        RAISE EXCEPTION 'the kind % of account "%" is not on hold', correct_action_hold.kind, correct_action_hold.account
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Only a current hold can be corrected. It is of the account for which it was set.';
    END IF;
    -- Written first: the trigger action_holds_keep requires the record.
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('kind_hold_corrected', correct_action_hold.actor, correct_action_hold.reason, correct_action_hold.kind, held.workspace_id, held.id);
    IF correct_action_hold.until IS NULL THEN
        DELETE FROM thaw.action_holds AS h WHERE h.account_id = held.id AND h.kind = correct_action_hold.kind;
    ELSE
        UPDATE thaw.action_holds AS h SET
            until = correct_action_hold.until, code = 'person', reason = correct_action_hold.reason, actor = correct_action_hold.actor, at = thaw.now()
        WHERE h.account_id = held.id AND h.kind = correct_action_hold.kind;
    END IF;
    RETURN correct_action_hold.until;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.correct_action_hold(text, text, timestamptz, text, text, text) IS
    'Corrects a mistaken hold of one kind: sets another end of it, or ends it now (until null), with a reason for the audit log. Only the owner of the schema may call it.';

-- +goose StatementBegin
CREATE FUNCTION thaw.set_ramp(
    account text, started_on date, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS smallint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ramped     thaw.accounts;
    starts_at  timestamptz;
BEGIN
    PERFORM thaw.require_sending_reason(set_ramp.reason, set_ramp.actor);
    SELECT a.* INTO ramped FROM thaw.accounts AS a WHERE a.id = thaw.find_account(set_ramp.account, set_ramp.provider) FOR NO KEY UPDATE;
    IF isfinite(set_ramp.started_on) THEN
        starts_at := thaw.day_start(coalesce(thaw.zone_named(ramped.timezone), 'UTC'), set_ramp.started_on);
    END IF;
    IF NOT isfinite(set_ramp.started_on) OR starts_at > thaw.now() OR set_ramp.started_on < '2000-01-01' THEN
        RAISE EXCEPTION 'the ramp cannot have started on %', set_ramp.started_on
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a date between the year 2000 and today, or null: it then starts with the next action.';
    END IF;
    PERFORM thaw.ensure_senders(ARRAY[ramped.id]);
    -- The date is set with an earlier restriction or idle month in mind, so they do not set the
    -- ramp back again.
    UPDATE thaw.senders AS s SET
        ramp_started_at = starts_at, restriction_seen_at = thaw.now(),
        last_started_at = CASE WHEN s.last_started_at < thaw.now() - interval '30 days' THEN NULL ELSE s.last_started_at END
    WHERE s.id = (SELECT sending.sender_id FROM thaw.sending_accounts AS sending WHERE sending.account_id = ramped.id);
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('ramp_set', set_ramp.actor, set_ramp.reason, coalesce('started on ' || set_ramp.started_on, 'starts with the next action'),
        ramped.workspace_id, ramped.id);
    PERFORM thaw.nudge(ramped.id, thaw.now());
    RETURN (SELECT g.ramp_week FROM thaw.kind_gates(ARRAY[ramped.id]) AS g LIMIT 1);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_ramp(text, date, text, text, text) IS
    'Sets the date on which ramp week 1 of the person behind an account began, for an account that sent before it came to Thaw. Null: the ramp starts with the next action that is sent. Returns the ramp week now; 6 is the sixth and all later weeks.';

-- Sets when ramp week 1 of accounts began, as the platform knows it (an import, an adopted table).
-- Such a date is for the time before Thaw: once an action was sent, or a restriction was seen, the
-- ramp follows from what happened, and the same date again does not set it back. Of several dates
-- of a person, the first one counts. Dates that set_ramp refuses are ignored. The caller has locked
-- the accounts.
-- +goose StatementBegin
CREATE FUNCTION thaw.give_ramps(p_account_ids bigint[], p_dates date[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.ensure_senders(p_account_ids);
    UPDATE thaw.senders AS s SET ramp_started_at = ramp.started_at
    FROM (
        SELECT sending.sender_id, min(thaw.day_start(coalesce(thaw.zone_named(a.timezone), 'UTC'), given.day)) AS started_at
        FROM unnest(p_account_ids, p_dates) AS given (account_id, day)
        JOIN thaw.accounts AS a ON a.id = given.account_id
        JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        WHERE given.day BETWEEN '2000-01-01' AND thaw.now()::date
        GROUP BY sending.sender_id) AS ramp
    WHERE s.id = ramp.sender_id AND s.last_sent_at IS NULL AND s.restriction_seen_at IS NULL
        AND ramp.started_at <= thaw.now() AND s.ramp_started_at IS DISTINCT FROM ramp.started_at;
END;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION thaw.give_ramps(bigint[], date[]) FROM PUBLIC;

-- The enrollments of a campaign that have not ended. By account, as the indexes are: a campaign has
-- accounts of its workspace only.
-- +goose StatementBegin
CREATE FUNCTION thaw.open_enrollments(p_workspace_id bigint, p_campaign_id bigint) RETURNS TABLE (id bigint, account_id bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.id, a.id
    FROM thaw.accounts AS a
    CROSS JOIN LATERAL (
        SELECT x.id FROM thaw.enrollments AS x WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'active'
        UNION ALL
        SELECT x.id FROM thaw.enrollments AS x WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'pending'
        UNION ALL
        SELECT x.id FROM thaw.enrollments AS x
        WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'paused' AND x.waits_for_account
        UNION ALL
        SELECT x.id FROM thaw.enrollments AS x
        WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'paused' AND NOT x.waits_for_account) AS e
    WHERE a.workspace_id = p_workspace_id
    UNION ALL
    SELECT x.id, NULL FROM thaw.enrollments AS x WHERE x.account_id IS NULL AND x.campaign_id = p_campaign_id AND x.status = 'active'
    UNION ALL
    SELECT x.id, NULL FROM thaw.enrollments AS x WHERE x.account_id IS NULL AND x.campaign_id = p_campaign_id AND x.status = 'pending'
    UNION ALL
    SELECT x.id, NULL FROM thaw.enrollments AS x
    WHERE x.account_id IS NULL AND x.campaign_id = p_campaign_id AND x.status = 'paused' AND x.waits_for_account IN (true, false);
END;
$$;
-- +goose StatementEnd

-- The kind of the next action of the prospects follows in the same statement, so that a scheduler
-- never sees new steps with old kinds. Their accounts are locked first (docs/design.md).
-- +goose StatementBegin
CREATE FUNCTION thaw.set_campaign_steps(workspace text, campaign text, steps jsonb) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    of_campaign bigint := thaw.find_campaign(set_campaign_steps.workspace, set_campaign_steps.campaign);
    of_workspace bigint;
    given       record;
    delay       interval;
    kinds       text[] := '{}';
    delays      interval[] := '{}';
    changed     integer := 0;
    give_up_at  constant timestamptz := clock_timestamp() + interval '30 seconds';
BEGIN
    IF jsonb_typeof(set_campaign_steps.steps) IS DISTINCT FROM 'array' OR jsonb_array_length(set_campaign_steps.steps) > 200 THEN
        RAISE EXCEPTION 'the steps are not a list of at most 200 steps'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use for example [{"kind": "invite"}, {"kind": "message", "delay": "2 days"}].';
    END IF;
    FOR given IN SELECT s.value, s.n FROM jsonb_array_elements(set_campaign_steps.steps) WITH ORDINALITY AS s (value, n) LOOP
        IF jsonb_typeof(given.value) <> 'object' OR given.value - '{kind,delay}'::text[] <> '{}' THEN
            RAISE EXCEPTION 'step % is not an object with kind and delay', given.n - 1
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Remove other fields. delay may be left out.';
        END IF;
        PERFORM thaw.require_kind(given.value ->> 'kind');
        BEGIN
            delay := coalesce(given.value ->> 'delay', '0');
        EXCEPTION WHEN data_exception THEN
            delay := '-1 day';
        END;
        -- A number without a unit would be seconds.
        IF delay NOT BETWEEN interval '0' AND interval '365 days' OR delay <> '0' AND given.value ->> 'delay' !~ '[[:alpha:]:]' THEN
            RAISE EXCEPTION 'step % has an invalid delay: %', given.n - 1, left(given.value ->> 'delay', 100)
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 0 to 365 days, for example "2 days" or "4 hours".';
        END IF;
        kinds := kinds || (given.value ->> 'kind');
        delays := delays || delay;
    END LOOP;
    SELECT c.workspace_id INTO of_workspace FROM thaw.campaigns AS c WHERE c.id = of_campaign;
    -- A writer of the platform locks a prospect before the campaign, so nothing is waited for while
    -- other locks are held: the locks are released, and tried again a moment later.
    LOOP
        BEGIN
            PERFORM a.id FROM thaw.accounts AS a
            WHERE a.id IN (SELECT e.account_id FROM thaw.open_enrollments(of_workspace, of_campaign) AS e)
            ORDER BY a.id FOR NO KEY UPDATE;
            -- A prospect that is inserted now waits (enrollments_note_next_kind). One that another
            -- transaction has inserted already holds this lock.
            PERFORM c.id FROM thaw.campaigns AS c WHERE c.id = of_campaign FOR UPDATE NOWAIT;
            -- Also those whose kind stays: a settlement that is under way may be about to move them
            -- to the old kind of their next step.
            PERFORM e.id FROM thaw.enrollments AS e
            WHERE e.id = ANY (ARRAY(SELECT open.id FROM thaw.open_enrollments(of_workspace, of_campaign) AS open))
            ORDER BY e.id FOR NO KEY UPDATE NOWAIT;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > give_up_at THEN
                RAISE EXCEPTION 'other transactions hold prospects of this campaign'
                    USING ERRCODE = 'lock_not_available', HINT = 'Try again in a few seconds.';
            END IF;
        END;
        PERFORM pg_sleep(0.01 + 0.04 * random());
    END LOOP;
    DELETE FROM thaw.campaign_steps AS s WHERE s.campaign_id = of_campaign;
    INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay)
    SELECT of_campaign, s.n - 1, s.kind, s.delay FROM unnest(kinds, delays) WITH ORDINALITY AS s (kind, delay, n);
    IF cardinality(kinds) > 0 THEN
        UPDATE thaw.enrollments AS e SET next_kind = kinds[e.step + 1]
        WHERE e.id = ANY (ARRAY(SELECT open.id FROM thaw.open_enrollments(of_workspace, of_campaign) AS open))
            AND e.next_kind IS DISTINCT FROM kinds[e.step + 1];
        GET DIAGNOSTICS changed = ROW_COUNT;
    END IF;
    RETURN changed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_campaign_steps(text, text, jsonb) IS
    'Replaces the steps of a linear campaign: [{"kind": "invite"}, {"kind": "message", "delay": "2 days"}], at most 200. The first is step 0; delay is the time after the previous step. The kind of the next action of the prospects follows. An empty list is for a campaign with branches: the platform passes the next kind and time when it settles an action. Returns of how many prospects the next kind changed.';

-- For a person, or for a program of the platform that reads the provider's own list. The grants of
-- a sender do not have it.
-- +goose StatementBegin
CREATE FUNCTION thaw.verify_action(
    reservation bigint, outcome text, reason text, actor text DEFAULT current_user, provider_ref text DEFAULT NULL,
    next_kind text DEFAULT NULL, next_at timestamptz DEFAULT NULL
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_sending_reason(verify_action.reason, verify_action.actor);
    IF verify_action.outcome IS NULL OR verify_action.outcome NOT IN ('verified_sent', 'verified_absent') THEN
        RAISE EXCEPTION 'an unknown action is not settled as "%"', coalesce(left(verify_action.outcome, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use verified_sent or verified_absent.';
    ELSIF verify_action.outcome = 'verified_absent' AND verify_action.provider_ref IS NOT NULL THEN
        RAISE EXCEPTION 'an action that was not delivered has no ID of the provider'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave out provider_ref, or use verified_sent.';
    ELSIF NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.id = verify_action.reservation) THEN
        RAISE EXCEPTION 'there is no action %', coalesce(verify_action.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the ID of an unknown action: thaw actions --unknown lists them.';
    END IF;
    RETURN thaw.settle_action(verify_action.reservation, verify_action.outcome, verify_action.provider_ref, NULL, NULL,
        verify_action.next_kind, verify_action.next_at, 'fail', verify_action.actor, verify_action.reason);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.verify_action(bigint, text, text, text, text, text, timestamptz) IS
    'Settles an action of which the outcome is unknown, by what the provider''s own list shows: verified_sent (with provider_ref, if known) or verified_absent. The latter gives the quota back, and the step may be done again. reason and actor are in the audit log. next_kind and next_at are for campaigns without steps. Returns the state.';

-- The actions of v0.1.0 keep their function, under another name.
ALTER FUNCTION thaw.instead_of_undo(text) RENAME TO instead_of_undo_core;
-- +goose StatementBegin
CREATE FUNCTION thaw.instead_of_undo(p_what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_what
    WHEN 'limit_set' THEN 'Set the old limit again. The audit log has it.'
    WHEN 'ceiling_set' THEN 'Set the old ceiling again. The audit log has it.'
    WHEN 'windows_set' THEN 'Set the old windows again. The audit log has them.'
    WHEN 'kind_held' THEN 'Correct the hold instead.'
    WHEN 'kind_hold_corrected' THEN 'Put the kind on hold again instead.'
    WHEN 'action_settled' THEN 'What a person found out at the provider stays.'
    WHEN 'ramp_set' THEN 'Set the old date again. The audit log has it.'
    ELSE thaw.instead_of_undo_core(p_what) END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.is_undoable(p_action_id bigint, p_what text) RETURNS boolean LANGUAGE sql STABLE
RETURN thaw.instead_of_undo(p_what) IS NULL AND NOT EXISTS (SELECT FROM thaw.manual_actions AS later WHERE later.undoes = p_action_id);
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.instead_of_undo(text), thaw.require_sending_reason(text, text), thaw.require_kind(text),
    thaw.limit_text(text, integer, integer, interval, interval),
    thaw.set_action_limit(text, text, integer, integer, interval, interval, text, text, text, text, text),
    thaw.set_action_ceiling(text, integer, integer, interval, text, text), thaw.windows_of(jsonb),
    thaw.set_sending_windows(text, jsonb, text, text, text, text),
    thaw.hold_action_kind(text, text, timestamptz, text, text, text), thaw.correct_action_hold(text, text, timestamptz, text, text, text),
    thaw.set_ramp(text, date, text, text, text), thaw.open_enrollments(bigint, bigint),
    thaw.set_campaign_steps(text, text, jsonb), thaw.verify_action(bigint, text, text, text, text, text, timestamptz) FROM PUBLIC;

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.is_undoable(p_action_id bigint, p_what text) RETURNS boolean LANGUAGE sql STABLE
RETURN thaw.instead_of_undo_core(p_what) IS NULL AND NOT EXISTS (SELECT FROM thaw.manual_actions AS later WHERE later.undoes = p_action_id);
-- +goose StatementEnd
DROP FUNCTION thaw.instead_of_undo(text);
ALTER FUNCTION thaw.instead_of_undo_core(text) RENAME TO instead_of_undo;
DROP FUNCTION thaw.verify_action(bigint, text, text, text, text, text, timestamptz);
DROP FUNCTION thaw.set_campaign_steps(text, text, jsonb);
DROP FUNCTION thaw.open_enrollments(bigint, bigint);
DROP FUNCTION thaw.give_ramps(bigint[], date[]);
DROP FUNCTION thaw.set_ramp(text, date, text, text, text);
DROP FUNCTION thaw.correct_action_hold(text, text, timestamptz, text, text, text);
DROP FUNCTION thaw.hold_action_kind(text, text, timestamptz, text, text, text);
DROP FUNCTION thaw.set_sending_windows(text, jsonb, text, text, text, text);
DROP FUNCTION thaw.windows_of(jsonb);
DROP FUNCTION thaw.set_action_ceiling(text, integer, integer, interval, text, text);
DROP FUNCTION thaw.set_action_limit(text, text, integer, integer, interval, interval, text, text, text, text, text);
DROP FUNCTION thaw.limit_text(text, integer, integer, interval, interval);
DROP FUNCTION thaw.require_kind(text);
DROP FUNCTION thaw.require_sending_reason(text, text);
