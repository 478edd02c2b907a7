-- The members in Tokyo may send only 2 messages per day from now on.
SELECT thaw.set_action_limit(w.key, 'message', per_day => 2, account => a.provider_account_id, reason => 'bench', actor => 'bench')
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE a.timezone = 'Asia/Tokyo';
