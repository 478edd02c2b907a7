-- The baseline of the messages of a tick: for each action, the message, its delivery to the
-- endpoint and the job that makes it. It follows bare_tick.sql.
, message AS (
    INSERT INTO thaw.outbox (type, account_id, data)
    SELECT 'action.due', action.account_id, jsonb_build_object(
        'workspace', w.key, 'provider', a.provider, 'account', a.provider_account_id, 'reservation', action.id, 'lease_until', action.lease_until,
        'kind', action.kind, 'step', action.step, 'campaign', c.key, 'enrollment', action.enrollment_id, 'prospect_url', action.prospect_url)
    FROM action
    JOIN thaw.workspaces AS w ON w.id = action.workspace_id
    JOIN thaw.accounts AS a ON a.id = action.account_id
    JOIN thaw.campaigns AS c ON c.id = action.campaign_id
    RETURNING id, message_id
), delivery AS (
    INSERT INTO thaw.webhook_deliveries (outbox_id, endpoint_id)
    SELECT message.id, e.id FROM message, thaw.webhook_endpoints AS e
), job AS (
    INSERT INTO thaw.river_job (args, kind, max_attempts, metadata, priority, queue, state, unique_key, unique_states)
    SELECT jsonb_build_object('endpoint_id', e.id, 'message_id', message.message_id), 'deliver', 500, '{}', 2, 'webhooks_' || e.id, 'available',
        sha256(convert_to(message.message_id, 'UTF8')), B'11110001'
    FROM message, thaw.webhook_endpoints AS e
    RETURNING id
)
