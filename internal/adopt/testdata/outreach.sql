-- A platform with a schema written by hand: text ids, enum types, a table partitioned by month, a
-- view, and the URL of a lead in a table of its own.
CREATE SCHEMA app;

CREATE TYPE app.account_state AS ENUM ('connecting', 'ok', 'credentials', 'checkpoint', 'stopped', 'deleted');
CREATE TYPE app.lead_state AS ENUM ('queued', 'running', 'paused', 'finished', 'answered', 'bounced', 'unsubscribed', 'on_vacation');

CREATE TABLE app.workspaces (
    id    text PRIMARY KEY,
    title text NOT NULL
);

CREATE TABLE app.linkedin_accounts (
    id                 text PRIMARY KEY,
    workspace_id       text NOT NULL REFERENCES app.workspaces,
    unipile_account_id text UNIQUE,
    urn                text,
    full_name          text NOT NULL,
    tz                 text NOT NULL DEFAULT 'Europe/Paris',
    subscription       text NOT NULL DEFAULT 'basic' CHECK (subscription IN ('basic', 'premium', 'sales_nav')),
    state              app.account_state NOT NULL DEFAULT 'connecting',
    settings           jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE app.campaigns (
    id           text PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES app.workspaces,
    title        text NOT NULL,
    state        text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'live', 'halted', 'done')),
    halt_cause   text
);

CREATE TABLE app.leads (
    id           text PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES app.workspaces,
    linkedin_url text,
    full_name    text
);

CREATE TABLE app.campaign_leads (
    id                text NOT NULL,
    added_on          date NOT NULL DEFAULT '2026-01-15',
    campaign_id       text NOT NULL REFERENCES app.campaigns,
    lead_id           text NOT NULL REFERENCES app.leads,
    sender_account_id text REFERENCES app.linkedin_accounts,
    state             app.lead_state NOT NULL DEFAULT 'queued',
    pause_cause       text,
    current_step      integer NOT NULL DEFAULT 0,
    next_run_at       timestamptz,
    opens             integer NOT NULL DEFAULT 0,
    PRIMARY KEY (id, added_on)
) PARTITION BY RANGE (added_on);
CREATE INDEX ON app.campaign_leads (lead_id);
CREATE TABLE app.campaign_leads_2026_01 PARTITION OF app.campaign_leads FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE app.campaign_leads_2026_02 PARTITION OF app.campaign_leads FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');

CREATE VIEW app.running_leads AS
    SELECT c.id, c.campaign_id, l.linkedin_url FROM app.campaign_leads AS c JOIN app.leads AS l ON l.id = c.lead_id WHERE c.state = 'running';

INSERT INTO app.workspaces VALUES ('ws_acme', 'Acme'), ('ws_globex', 'Globex');
INSERT INTO app.linkedin_accounts (id, workspace_id, unipile_account_id, urn, full_name, state) VALUES
    ('acc_ann', 'ws_acme', 'up_ann', 'urn:li:ann', 'Ann Lee', 'ok'),
    ('acc_bob', 'ws_acme', 'up_bob', NULL, 'Bob Ray', 'credentials'),
    ('acc_eve', 'ws_globex', 'up_eve', NULL, 'Eve Fox', 'ok');
INSERT INTO app.campaigns VALUES
    ('cmp_spring', 'ws_acme', 'Spring', 'live', NULL), ('cmp_idle', 'ws_acme', 'Idle', 'draft', NULL), ('cmp_fall', 'ws_globex', 'Fall', 'live', NULL);
INSERT INTO app.leads
    SELECT 'lead_' || i, 'ws_acme', 'https://www.linkedin.com/in/lead-' || i, 'Lead ' || i FROM generate_series(1, 8) AS i;
INSERT INTO app.campaign_leads (id, added_on, campaign_id, lead_id, sender_account_id, state, pause_cause, current_step, next_run_at) VALUES
    ('cl_1', '2026-01-10', 'cmp_spring', 'lead_1', 'acc_ann', 'running', NULL, 2, '2026-01-31 10:00Z'),
    ('cl_2', '2026-01-11', 'cmp_spring', 'lead_2', 'acc_ann', 'queued', NULL, 0, NULL),
    ('cl_3', '2026-02-01', 'cmp_spring', 'lead_3', 'acc_bob', 'paused', 'account_lost', 1, '2026-01-30 10:00Z'),
    ('cl_4', '2026-02-02', 'cmp_spring', 'lead_4', 'acc_bob', 'paused', 'holiday', 3, NULL),
    ('cl_5', '2026-02-02', 'cmp_spring', 'lead_5', NULL, 'queued', NULL, 0, NULL),
    ('cl_6', '2026-02-03', 'cmp_spring', 'lead_6', 'acc_ann', 'answered', NULL, 2, NULL),
    ('cl_7', '2026-02-03', 'cmp_fall', 'lead_7', 'acc_eve', 'running', NULL, 1, '2026-01-31 11:00Z'),
    ('cl_8', '2026-02-04', 'cmp_spring', 'lead_8', 'acc_ann', 'on_vacation', NULL, 1, NULL);
