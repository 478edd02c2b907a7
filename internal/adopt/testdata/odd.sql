-- A platform with unusual names: keys that are not named id, states in other columns than status,
-- no table that is named like an enrollment, a constraint on the time of a pause, and a trigger of
-- its own.
CREATE SCHEMA core;
CREATE TYPE core.mailbox_health AS ENUM ('LINKING', 'HEALTHY', 'AUTH_EXPIRED', 'CHALLENGED', 'BANNED');
CREATE TYPE core.step_state AS ENUM ('WAITING', 'IN_FLIGHT', 'ON_HOLD', 'DONE', 'REPLIED', 'BOUNCED', 'STOPPED');

CREATE TABLE core.tenants (
    tenant_id    uuid PRIMARY KEY,
    slug         text UNIQUE NOT NULL,
    display_name text NOT NULL
);
CREATE TABLE core.senders (
    sender_id    uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES core.tenants,
    unipile_id   text UNIQUE,
    label        text NOT NULL,
    "timeZone"   text,
    health       core.mailbox_health NOT NULL DEFAULT 'LINKING',
    health_since timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz
);
CREATE TABLE core.sequences (
    sequence_id uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES core.tenants,
    title       text NOT NULL,
    is_running  boolean NOT NULL DEFAULT false
);
CREATE TABLE core.people (
    person_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES core.tenants,
    linkedin  text
);
CREATE TABLE core.steps (
    step_id      uuid PRIMARY KEY,
    sequence_id  uuid NOT NULL REFERENCES core.sequences,
    person_id    uuid NOT NULL REFERENCES core.people,
    sender_id    uuid REFERENCES core.senders,
    state        core.step_state NOT NULL DEFAULT 'WAITING',
    held_because text,
    held_at      timestamptz,
    position     smallint NOT NULL DEFAULT 1,
    run_after    timestamp,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT held_has_time CHECK ((state = 'ON_HOLD') = (held_at IS NOT NULL))
);
CREATE INDEX ON core.steps (person_id);
CREATE TABLE core.messages (
    message_id  bigint PRIMARY KEY,
    sequence_id uuid NOT NULL REFERENCES core.sequences,
    sender_id   uuid NOT NULL REFERENCES core.senders,
    body        text
);

CREATE FUNCTION core.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;
CREATE TRIGGER touch BEFORE UPDATE ON core.steps FOR EACH ROW EXECUTE FUNCTION core.touch();

INSERT INTO core.tenants VALUES ('00000000-0000-0000-0000-000000000001', 'acme', 'Acme');
INSERT INTO core.senders (sender_id, tenant_id, unipile_id, label, "timeZone", health) VALUES
    ('00000000-0000-0000-0000-000000000011', '00000000-0000-0000-0000-000000000001', 'up_ann', 'Ann Lee', 'Europe/Paris', 'HEALTHY'),
    ('00000000-0000-0000-0000-000000000012', '00000000-0000-0000-0000-000000000001', 'up_bob', 'Bob Ray', NULL, 'AUTH_EXPIRED');
INSERT INTO core.sequences VALUES ('00000000-0000-0000-0000-000000000021', '00000000-0000-0000-0000-000000000001', 'Spring', true);
INSERT INTO core.people
    SELECT ('00000000-0000-0000-0000-00000000003' || n)::uuid, '00000000-0000-0000-0000-000000000001', 'https://www.linkedin.com/in/lead-' || n
    FROM generate_series(1, 3) AS n;
INSERT INTO core.steps (step_id, sequence_id, person_id, sender_id, state, held_because, held_at, position, run_after) VALUES
    ('00000000-0000-0000-0000-000000000041', '00000000-0000-0000-0000-000000000021', '00000000-0000-0000-0000-000000000031',
        '00000000-0000-0000-0000-000000000011', 'IN_FLIGHT', NULL, NULL, 2, '2026-01-31 10:00'),
    ('00000000-0000-0000-0000-000000000042', '00000000-0000-0000-0000-000000000021', '00000000-0000-0000-0000-000000000032',
        '00000000-0000-0000-0000-000000000012', 'ON_HOLD', 'sender_offline', '2026-01-30', 1, NULL),
    ('00000000-0000-0000-0000-000000000043', '00000000-0000-0000-0000-000000000021', '00000000-0000-0000-0000-000000000033',
        NULL, 'WAITING', NULL, NULL, 1, NULL);
