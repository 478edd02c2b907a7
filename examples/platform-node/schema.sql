-- The platform's own tables, as its migrations would make them: its own ids, words and names.
-- Nothing in them is made for Thaw.
CREATE SCHEMA app;

CREATE TABLE app.workspaces (
    id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug text NOT NULL UNIQUE,
    name text NOT NULL
);

CREATE TABLE app.linkedin_accounts (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id       uuid NOT NULL REFERENCES app.workspaces (id),
    unipile_account_id text NOT NULL UNIQUE,
    urn                text,
    full_name          text NOT NULL,
    tz                 text NOT NULL DEFAULT 'Europe/Berlin',
    state              text NOT NULL DEFAULT 'connecting'
        CHECK (state IN ('ok', 'credentials', 'checkpoint', 'stopped', 'connecting', 'deleted'))
);

CREATE TABLE app.campaigns (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES app.workspaces (id),
    title        text NOT NULL,
    state        text NOT NULL DEFAULT 'live' CHECK (state IN ('draft', 'live', 'paused', 'done')),
    pause_cause  text
);

CREATE TABLE app.leads (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name         text NOT NULL,
    linkedin_url text NOT NULL
);

CREATE TABLE app.campaign_leads (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    campaign_id       uuid NOT NULL REFERENCES app.campaigns (id),
    lead_id           uuid NOT NULL REFERENCES app.leads (id),
    sender_account_id uuid REFERENCES app.linkedin_accounts (id),
    state             text NOT NULL DEFAULT 'queued' CHECK (state IN
        ('queued', 'running', 'paused', 'finished', 'answered', 'bounced', 'unsubscribed')),
    pause_cause       text,
    current_step      integer NOT NULL DEFAULT 0,
    next_run_at       timestamptz
);
CREATE INDEX campaign_leads_due_idx ON app.campaign_leads (next_run_at) WHERE state = 'running';

-- One workspace with one account, one campaign, and forty leads in it.
INSERT INTO app.workspaces (slug, name) VALUES ('acme', 'Acme');
INSERT INTO app.linkedin_accounts (workspace_id, unipile_account_id, urn, full_name, state)
SELECT id, 'acc_jane', 'urn:li:member:1', 'Jane Doe', 'ok' FROM app.workspaces;
INSERT INTO app.campaigns (workspace_id, title) SELECT id, 'Spring' FROM app.workspaces;
INSERT INTO app.leads (name, linkedin_url)
SELECT 'Lead ' || n, 'https://www.linkedin.com/in/lead-' || n FROM generate_series(1, 40) AS n;
INSERT INTO app.campaign_leads (campaign_id, lead_id, sender_account_id, state, next_run_at)
SELECT campaign.id, lead.id, account.id, 'running', now() + interval '1 hour'
FROM app.campaigns AS campaign, app.leads AS lead, app.linkedin_accounts AS account;
