-- The limits of a sender as users of job queues write them, because these queues have none per
-- account: a token bucket, a counter per day and week, and a queue.
--
-- - The planner counts a lead when it is queued, and the worker takes a token when it sends.
-- - Days and weeks are those of UTC, and counters belong to the account.
-- - A job of a worker that died is locked for 10 minutes, and then done again.
--
-- It runs on the clock of the benchmark, thaw.now(), and has no other part of Thaw.
CREATE SCHEMA bucket;

CREATE TABLE bucket.accounts (
    id         bigint PRIMARY KEY,
    name       text NOT NULL,
    zone       text NOT NULL,
    opens      time NOT NULL,
    closes     time NOT NULL,
    per_day    integer NOT NULL,
    per_week   integer NOT NULL,
    -- The bucket has this many tokens at most, and gets one per interval.
    tokens     integer NOT NULL,
    token_each interval NOT NULL
);
CREATE TABLE bucket.rate_limits (key text PRIMARY KEY, tokens double precision NOT NULL, refilled_at timestamptz NOT NULL);
CREATE TABLE bucket.counters (
    account_id bigint NOT NULL,
    unit       text NOT NULL, -- day or week
    since      date NOT NULL,
    used       integer NOT NULL,
    PRIMARY KEY (account_id, unit, since)
);
CREATE TABLE bucket.leads (
    id          bigint PRIMARY KEY,
    account_id  bigint NOT NULL REFERENCES bucket.accounts,
    url         text NOT NULL,
    status      text NOT NULL DEFAULT 'waiting', -- waiting, queued or done
    step        integer NOT NULL DEFAULT 0,
    next_run_at timestamptz
);
CREATE INDEX leads_due_idx ON bucket.leads (next_run_at) WHERE status = 'waiting';
CREATE TABLE bucket.jobs (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lead_id   bigint NOT NULL,
    run_at    timestamptz NOT NULL,
    locked_at timestamptz,
    attempts  integer NOT NULL DEFAULT 0
);
CREATE INDEX jobs_run_idx ON bucket.jobs (run_at, id);
CREATE TABLE bucket.sent (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id   bigint NOT NULL,
    lead_id      bigint NOT NULL,
    step         integer NOT NULL,
    provider_ref text NOT NULL,
    at           timestamptz NOT NULL
);
CREATE INDEX sent_account_idx ON bucket.sent (account_id, at);

CREATE FUNCTION bucket.count_one(p_account bigint, p_unit text, p_cap integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bucket.counters AS c (account_id, unit, since, used)
    VALUES (p_account, p_unit, date_trunc(p_unit, thaw.now() AT TIME ZONE 'UTC')::date, 1)
    ON CONFLICT (account_id, unit, since) DO UPDATE SET used = c.used + 1 WHERE c.used < p_cap;
    RETURN FOUND;
END;
$$;

-- The planner: whether a lead may be queued now. If so, it is counted.
CREATE FUNCTION bucket.allow(p_lead bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    account bucket.accounts;
    local   time;
BEGIN
    SELECT a.* INTO account FROM bucket.leads AS l JOIN bucket.accounts AS a ON a.id = l.account_id
    WHERE l.id = p_lead AND l.status = 'waiting' AND l.next_run_at <= thaw.now();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    local := (thaw.now() AT TIME ZONE account.zone)::time;
    IF local < account.opens OR local >= account.closes OR NOT bucket.count_one(account.id, 'day', account.per_day) THEN
        RETURN false;
    ELSIF NOT bucket.count_one(account.id, 'week', account.per_week) THEN
        UPDATE bucket.counters SET used = used - 1
        WHERE account_id = account.id AND unit = 'day' AND since = (thaw.now() AT TIME ZONE 'UTC')::date;
        RETURN false;
    END IF;
    UPDATE bucket.leads SET status = 'queued' WHERE id = p_lead;
    RETURN true;
END;
$$;

-- Queues a lead. Returns its job. Null: not now.
CREATE FUNCTION bucket.plan(p_lead bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    job bigint;
BEGIN
    IF bucket.allow(p_lead) THEN
        INSERT INTO bucket.jobs (lead_id, run_at) VALUES (p_lead, thaw.now()) RETURNING id INTO job;
    END IF;
    RETURN job;
END;
$$;

-- The worker: takes a token of an account.
CREATE FUNCTION bucket.take_token(p_account bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bucket.rate_limits AS r SET tokens = full_at.tokens - 1, refilled_at = thaw.now()
    FROM (
        SELECT limits.key, least(a.tokens, limits.tokens + extract(epoch FROM thaw.now() - limits.refilled_at) / extract(epoch FROM a.token_each)) AS tokens
        FROM bucket.rate_limits AS limits, bucket.accounts AS a
        WHERE limits.key = 'account:' || p_account AND a.id = p_account FOR UPDATE OF limits) AS full_at
    WHERE r.key = full_at.key AND full_at.tokens >= 1;
    RETURN FOUND;
END;
$$;

-- Locks the next job that has a token. Null: there is none.
CREATE FUNCTION bucket.take(OUT job bigint, OUT account text, OUT url text) LANGUAGE plpgsql AS $$
DECLARE
    next bigint;
    lead bucket.leads;
BEGIN
    LOOP
        SELECT j.id INTO next FROM bucket.jobs AS j
        WHERE j.run_at <= thaw.now() AND (j.locked_at IS NULL OR j.locked_at < thaw.now() - interval '10 minutes')
        ORDER BY j.run_at, j.id LIMIT 1 FOR UPDATE SKIP LOCKED;
        EXIT WHEN next IS NULL;
        SELECT l.* INTO lead FROM bucket.leads AS l JOIN bucket.jobs AS j ON j.lead_id = l.id WHERE j.id = next;
        IF bucket.take_token(lead.account_id) THEN
            UPDATE bucket.jobs SET locked_at = thaw.now(), attempts = attempts + 1 WHERE id = next;
            job := next;
            account := (SELECT a.name FROM bucket.accounts AS a WHERE a.id = lead.account_id);
            url := lead.url;
            EXIT;
        END IF;
        UPDATE bucket.jobs SET run_at = thaw.now() + interval '1 minute' WHERE id = next;
    END LOOP;
END;
$$;

-- What was sent.
CREATE FUNCTION bucket.record(p_lead bigint, p_ref text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bucket.sent (account_id, lead_id, step, provider_ref, at)
    SELECT l.account_id, l.id, l.step, p_ref, thaw.now() FROM bucket.leads AS l WHERE l.id = p_lead;
    UPDATE bucket.leads SET status = 'done', step = step + 1, next_run_at = NULL WHERE id = p_lead;
$$;

CREATE FUNCTION bucket.done(p_job bigint, p_ref text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    lead bigint;
BEGIN
    DELETE FROM bucket.jobs AS j WHERE j.id = p_job RETURNING j.lead_id INTO lead;
    PERFORM bucket.record(lead, p_ref);
    RETURN 'sent';
END;
$$;
