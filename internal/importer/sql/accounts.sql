-- New accounts. Their status_at stays null: no signal has spoken yet. One that came too early for its account is applied
-- by a trigger of this insert, and is newer than the file; is_new keeps what follows from overwriting it.
WITH added AS (
    INSERT INTO thaw.accounts (
        workspace_id, provider, provider_account_id, member_id, status, first_connected_at, connected_at)
    SELECT workspace.id, 'linkedin', a.account, a.member, a.status, connected.at, connected.at
    FROM import_accounts AS a
    JOIN thaw.workspaces AS workspace ON workspace.key = a.workspace
    CROSS JOIN LATERAL (SELECT CASE WHEN a.status = 'connected' THEN thaw.now() END AS at) AS connected
    WHERE NOT EXISTS (
        SELECT FROM thaw.accounts AS known
        WHERE known.provider = 'linkedin' AND known.provider_account_id = a.account)
    ORDER BY a.account
    ON CONFLICT (provider, provider_account_id) DO NOTHING
    RETURNING provider_account_id
)
UPDATE import_accounts AS a SET is_new = true
FROM added
WHERE added.provider_account_id = a.account;

UPDATE import_accounts AS a SET account_id = known.id
FROM thaw.accounts AS known
WHERE known.provider = 'linkedin' AND known.provider_account_id = a.account;
-- With the key no plan can be worse than a look-up a row, however wrong the planner is about how many rows are new.
ALTER TABLE import_accounts ADD PRIMARY KEY (account);
ANALYZE import_accounts;

-- Who pauses or wakes prospects locks the account first, so nobody does while this transaction lasts. Siblings too: what
-- waits on an account wakes through the account of the same person that is connected.
SELECT known.id
FROM thaw.accounts AS known
WHERE known.id IN (
    SELECT a.account_id
    FROM import_accounts AS a
    UNION
    SELECT sibling.id
    FROM import_accounts AS a
    JOIN thaw.accounts AS one ON one.id = a.account_id
    JOIN thaw.accounts AS sibling
        ON sibling.workspace_id = one.workspace_id
        AND sibling.provider = one.provider
        AND sibling.member_id = one.member_id)
ORDER BY known.id
FOR NO KEY UPDATE;

-- An empty member says that the file does not know it, not that there is none.
UPDATE thaw.accounts AS known SET member_id = a.member
FROM import_accounts AS a
WHERE known.id = a.account_id AND NOT a.is_new AND a.member IS NOT NULL AND known.member_id IS DISTINCT FROM a.member;

-- A restriction is the provider's; a file that does not know of it does not lift it.
UPDATE import_accounts AS a SET is_kept = true
FROM thaw.accounts AS known
WHERE known.id = a.account_id AND NOT a.is_new AND known.status = 'restricted' AND a.status NOT IN ('restricted', 'removed')
    AND current_setting('thaw.import_overwrites') <> 'on';

-- The file speaks for the moment in which this transaction began: a signal since then is newer and stands.
UPDATE thaw.accounts AS known SET
    status = a.status,
    status_at = thaw.now(),
    pause_after = NULL,
    last_error = NULL,
    first_connected_at = CASE
        WHEN a.status = 'connected' THEN coalesce(known.first_connected_at, thaw.now())
        ELSE known.first_connected_at END,
    connected_at = CASE WHEN a.status = 'connected' THEN thaw.now() ELSE known.connected_at END
FROM import_accounts AS a
WHERE known.id = a.account_id AND NOT a.is_new AND NOT a.is_kept AND known.status <> a.status
    AND (known.status_at IS NULL OR known.status_at <= thaw.now());
