-- name: SweepAge :one
-- Whether the newest tick that was swept is at most two ticks old.
SELECT coalesce(max(s.tick_at) >= thaw.tick() - 2 * (SELECT settings.tick FROM thaw.settings), false)::boolean AS fresh,
    coalesce(max(s.tick_at), 'epoch')::timestamptz AS tick_at
FROM thaw.sweeps AS s;
