-- The rows of a slice with the IDs of their accounts, campaigns and existing enrollments. The
-- platform's own ID identifies an enrollment; otherwise, or if no enrollment has it yet, its
-- campaign and URL do.
ANALYZE import_slice;
CREATE TEMP TABLE import_rows ON COMMIT DROP AS
SELECT s.prospect_url, s.external_id, s.status, s.paused_reason, s.paused_at, s.step, s.next_action_at, s.next_kind,
    account.id AS account_id, campaign.id AS campaign_id, campaign.workspace_id,
    coalesce(
        (SELECT e.id FROM thaw.enrollments AS e WHERE e.external_id = s.external_id AND e.workspace_id = campaign.workspace_id),
        (SELECT min(found.id) FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE e.prospect_url = s.prospect_url AND e.campaign_id = campaign.id
                AND (s.external_id IS NULL OR e.external_id IS NULL)
            OFFSET 0) AS found)) AS enrollment_id
FROM import_slice AS s
JOIN thaw.accounts AS account ON account.provider = s.provider AND account.provider_account_id = s.account
JOIN thaw.workspaces AS workspace ON workspace.key = s.workspace
JOIN thaw.campaigns AS campaign ON campaign.workspace_id = workspace.id AND campaign.key = s.campaign;
-- Of several lines with one URL and different IDs, the first gets the enrollment without an ID.
UPDATE import_rows AS r SET enrollment_id = NULL
FROM (
    SELECT one.ctid, row_number() OVER (PARTITION BY one.enrollment_id ORDER BY one.external_id) AS n
    FROM import_rows AS one WHERE one.enrollment_id IS NOT NULL AND one.external_id IS NOT NULL) AS other
WHERE other.n > 1 AND r.ctid = other.ctid;
ANALYZE import_rows (account_id, enrollment_id);

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
