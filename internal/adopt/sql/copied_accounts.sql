-- Thaw's copy of accounts, by the platform's ids, as the rows that the triggers send.
SELECT a.external_id AS id,
    jsonb_build_object('workspace', w.external_id, 'provider', a.provider, 'provider_account_id', a.provider_account_id,
        'member_id', a.member_id, 'name', a.display_name, 'timezone', a.timezone, 'tier', a.tier, 'status', a.status) AS row,
    w.shadow AS is_shadow,
    EXISTS (SELECT FROM thaw.changes_queue AS q WHERE q.kind = 'account' AND q.row_id = a.id) AS is_waiting
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE a.external_id = ANY ($1::text[]);
