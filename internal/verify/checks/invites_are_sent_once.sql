-- A prospect has at most one invite of a sender that is open or accepted, in all campaigns and
-- spellings of the URL. Invites that two accounts had sent before they turned out to be one person
-- are marked as duplicates.
SELECT format('prospect %s: sender %s has open invites %s',
    min(action.prospect_url), action.sender_id, string_agg(action.id::text, ' and ' ORDER BY action.id))
FROM thaw.actions AS action
WHERE action.kind = 'invite' AND action.state IN ('reserved', 'started', 'sent', 'unknown', 'already')
    AND (action.closed_as IS NULL OR action.closed_as = 'accepted')
GROUP BY action.sender_id, thaw.prospect_key(action.prospect_url)
HAVING count(*) > 1
