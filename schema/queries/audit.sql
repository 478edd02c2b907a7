-- name: AuditPage :many
-- Entries of the audit log, newest first. Each filter has an index that orders its entries, and the
-- most selective filter that is set (chosen_by) chooses the index; with a generic plan, Postgres
-- does not know which one is set. The other filters discard rows.
SELECT d.id, d.at, d.what, d.actor, d.session_role, coalesce(d.reason, '')::text AS reason, coalesce(d.detail, '')::text AS detail,
    coalesce(w.key, '')::text AS workspace, d.account_id, coalesce(a.provider_account_id, '')::text AS account, coalesce(a.display_name, '')::text AS account_name,
    coalesce(c.key, '')::text AS campaign, coalesce(d.prospect_url, '')::text AS prospect_url, d.heal_id, d.undoes, d.until, d.enrollments,
    thaw.is_undoable(d.id, d.what)::boolean AS can_undo
FROM (
    (SELECT m.* FROM thaw.manual_actions AS m
     WHERE sqlc.arg(chosen_by)::text = 'actor' AND m.actor = sqlc.arg(actor)::text
        AND m.at >= thaw.now() - sqlc.arg(within)::interval AND (m.at, m.id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::bigint)
        AND (sqlc.arg(what)::text = '' OR m.what = sqlc.arg(what)::text)
        AND (sqlc.arg(workspace_id)::bigint = 0 OR m.workspace_id = sqlc.arg(workspace_id)::bigint)
     ORDER BY m.at DESC, m.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT m.* FROM thaw.manual_actions AS m
     WHERE sqlc.arg(chosen_by)::text = 'workspace' AND m.workspace_id = sqlc.arg(workspace_id)::bigint
        AND m.at >= thaw.now() - sqlc.arg(within)::interval AND (m.at, m.id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::bigint)
     ORDER BY m.at DESC, m.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT m.* FROM thaw.manual_actions AS m
     WHERE sqlc.arg(chosen_by)::text = 'workspace and what'
        AND m.workspace_id = sqlc.arg(workspace_id)::bigint AND m.what = sqlc.arg(what)::text
        AND m.at >= thaw.now() - sqlc.arg(within)::interval AND (m.at, m.id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::bigint)
     ORDER BY m.at DESC, m.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT m.* FROM thaw.manual_actions AS m
     WHERE sqlc.arg(chosen_by)::text = 'what' AND m.what = sqlc.arg(what)::text
        AND m.at >= thaw.now() - sqlc.arg(within)::interval AND (m.at, m.id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::bigint)
     ORDER BY m.at DESC, m.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT m.* FROM thaw.manual_actions AS m
     WHERE sqlc.arg(chosen_by)::text = 'time'
        AND m.at >= thaw.now() - sqlc.arg(within)::interval AND (m.at, m.id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::bigint)
     ORDER BY m.at DESC, m.id DESC LIMIT sqlc.arg(size)::integer)) AS d
LEFT JOIN thaw.workspaces AS w ON w.id = d.workspace_id
LEFT JOIN thaw.accounts AS a ON a.id = d.account_id
LEFT JOIN thaw.campaigns AS c ON c.id = d.campaign_id
ORDER BY d.at DESC, d.id DESC;

-- name: SettingValues :many
-- Each fleet setting with its value and its default. Intervals are in seconds; 1 is true.
SELECT a.attname::text AS name, (a.atttypid = 'interval'::regtype)::boolean AS is_interval, (a.atttypid = 'boolean'::regtype)::boolean AS is_boolean,
    (CASE WHEN a.atttypid = 'interval'::regtype THEN extract(epoch FROM value.text::interval)
        WHEN a.atttypid = 'boolean'::regtype THEN value.text::boolean::integer
        ELSE value.text::numeric END)::double precision AS value,
    (CASE WHEN a.atttypid = 'boolean'::regtype THEN pg_get_expr(d.adbin, d.adrelid)::boolean::integer
        WHEN a.atttypid = 'interval'::regtype
        THEN extract(epoch FROM regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^''(.*)''::interval$', '\1')::interval)
        ELSE pg_get_expr(d.adbin, d.adrelid)::numeric END)::double precision AS standard
FROM thaw.settings AS s
CROSS JOIN LATERAL jsonb_each_text(to_jsonb(s)) AS value (name, text)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = 'thaw.settings'::regclass AND a.attname = value.name
JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE value.name NOT IN ('only_row', 'changed_at', 'changed_by')
ORDER BY a.attnum;
