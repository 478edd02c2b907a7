-- Thaw's copy of enrollments, by the platform's ids, as the rows that the triggers send.
SELECT e.external_id AS id,
    jsonb_build_object('workspace', w.external_id, 'campaign', c.external_id, 'account', a.external_id, 'prospect_url', e.prospect_url,
        'status', e.status, 'reason', e.paused_reason, 'own_reason', e.own_reason, 'step', e.step, 'next_action_at', e.next_action_at, 'next_kind', e.next_kind,
        'paused_at', e.paused_at) AS row,
    w.shadow AS is_shadow,
    EXISTS (SELECT FROM thaw.changes_queue AS q WHERE q.kind = 'enrollment' AND q.row_id = e.id) AS is_waiting
FROM thaw.enrollments AS e
JOIN thaw.workspaces AS w ON w.id = e.workspace_id
JOIN thaw.campaigns AS c ON c.id = e.campaign_id
LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
WHERE e.external_id = ANY ($1::text[]);
