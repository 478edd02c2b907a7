-- A platform with tables of its own, for benchmark and fault injection of thaw adopt. Both use the
-- triggers that thaw adopt generates from adopt.yaml.
CREATE SCHEMA app;
CREATE TABLE app.teams (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE app.seats (
    id          integer PRIMARY KEY,
    team_id     text NOT NULL REFERENCES app.teams,
    unipile_id  text NOT NULL UNIQUE,
    state       text NOT NULL
);
CREATE TABLE app.sequences (
    id      integer PRIMARY KEY,
    team_id text NOT NULL REFERENCES app.teams,
    title   text NOT NULL,
    state   text NOT NULL,
    cause   text
);
CREATE TABLE app.leads (
    id          integer PRIMARY KEY,
    sequence_id integer NOT NULL REFERENCES app.sequences,
    seat_id     integer REFERENCES app.seats,
    url         text NOT NULL,
    state       text NOT NULL,
    cause       text,
    step        integer NOT NULL DEFAULT 0,
    next_run_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX leads_url_key ON app.leads (sequence_id, url);
CREATE INDEX leads_state_idx ON app.leads (sequence_id, state);
-- What a sender needs: the running leads of a seat that are due.
CREATE INDEX leads_due_idx ON app.leads (seat_id, next_run_at) WHERE state = 'running';
