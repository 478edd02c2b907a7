-- A delivery that the sender reported has the ID of the provider, if the kind has one.
-- ranges: thaw.actions id
SELECT format('action %s: %s is sent, without an ID of the provider', action.id, action.kind)
FROM thaw.actions AS action
JOIN thaw.action_kinds AS k ON k.kind = action.kind
WHERE action.id BETWEEN 0 AND 9223372036854775807
    AND action.outcome = 'sent' AND k.has_provider_ref AND action.provider_ref IS NULL
