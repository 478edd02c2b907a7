-- The counts of paused enrollments by account, campaign and reason match the rows, and the totals
-- of accounts match the counts. Enrollments without an account are not counted.
SELECT format('account %s, campaign %s, %s: %s paused, %s counted',
    account_id, campaign_id, reason, coalesce(rows.paused, 0), coalesce(counts.paused, 0))
FROM (
    SELECT e.account_id, e.campaign_id, e.paused_reason AS reason, e.waits_for_account, count(*) AS paused
    FROM thaw.enrollments AS e
    WHERE e.paused_reason IS NOT NULL AND e.account_id IS NOT NULL
    GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account) AS rows
FULL JOIN (
    SELECT p.account_id, p.campaign_id, p.reason, p.waits_for_account, sum(p.paused) AS paused
    FROM thaw.paused_parts AS p
    GROUP BY p.account_id, p.campaign_id, p.reason, p.waits_for_account) AS counts
    USING (account_id, campaign_id, reason, waits_for_account)
WHERE coalesce(rows.paused, 0) <> coalesce(counts.paused, 0)
UNION ALL
SELECT format('account %s: %s waiting by the counts, %s by the total', account_id, coalesce(lines.waiting, 0), coalesce(totals.waiting, 0))
FROM (
    SELECT c.account_id, sum(c.paused) AS waiting FROM thaw.paused_counts AS c WHERE c.waits_for_account GROUP BY c.account_id) AS lines
FULL JOIN thaw.waiting_totals AS totals USING (account_id)
WHERE coalesce(lines.waiting, 0) <> coalesce(totals.waiting, 0)
