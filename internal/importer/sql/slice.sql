-- The rows of a slice with the IDs of their accounts and campaigns.
ANALYZE import_slice;
CREATE TEMP TABLE import_rows ON COMMIT DROP AS
SELECT s.prospect_url, s.status, s.paused_reason, s.paused_at, s.step, s.next_action_at,
    account.id AS account_id, campaign.id AS campaign_id, campaign.workspace_id
FROM import_slice AS s
JOIN thaw.accounts AS account ON account.provider = 'linkedin' AND account.provider_account_id = s.account
JOIN thaw.workspaces AS workspace ON workspace.key = s.workspace
JOIN thaw.campaigns AS campaign ON campaign.workspace_id = workspace.id AND campaign.key = s.campaign;
ANALYZE import_rows (account_id);

-- Lock the accounts. Passes and pauses lock the account first, so none of them changes these
-- prospects during this transaction, which lasts a fraction of a second. Lock siblings too, because
-- prospects may be resumed through another account of the person.
SELECT known.id
FROM thaw.accounts AS known
WHERE known.id IN (
    SELECT r.account_id
    FROM import_rows AS r
    UNION
    SELECT sibling.id
    FROM (SELECT DISTINCT r.account_id FROM import_rows AS r) AS named
    JOIN thaw.accounts AS one ON one.id = named.account_id
    JOIN thaw.accounts AS sibling
        ON sibling.workspace_id = one.workspace_id
        AND sibling.provider = one.provider
        AND sibling.member_id = one.member_id)
ORDER BY known.id
FOR NO KEY UPDATE;

-- Force index lookups per row from here on. Other plans may be much slower, because the statistics
-- of the new tables are inaccurate.
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
