-- A fleet that may send at any hour: ten accounts with three prospects each, in a campaign that
-- looks at the profile, invites, and then writes.
INSERT INTO thaw.workspaces (key, name) VALUES ('acme', 'Acme Inc.');
SELECT thaw.set_sending_windows('acme', '[{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "00:00", "closes": "24:00"}]', reason => 'the example');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, display_name, status, connected_at, timezone, tier)
SELECT 1, 'acc_' || n, 'member_' || n, 'Sender ' || n, 'connected', now(), 'Europe/Berlin', 'premium' FROM generate_series(1, 10) AS n;
INSERT INTO thaw.campaigns (workspace_id, key, name, status) VALUES (1, 'spring', 'Spring', 'running');
SELECT thaw.set_campaign_steps('acme', 'spring', '[{"kind": "view"}, {"kind": "invite"}, {"kind": "message"}]');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
SELECT 1, 1, account, format('https://www.linkedin.com/in/prospect-%s-%s', account, n), 'active', now()
FROM generate_series(1, 10) AS account, generate_series(1, 3) AS n;
