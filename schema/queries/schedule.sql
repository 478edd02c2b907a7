-- name: RefreshZones :one
-- Reads the time zones of the server again.
SELECT thaw.refresh_zones()::integer AS changed;

-- name: ExpireActions :one
-- Ends the leases of actions that are over.
SELECT thaw.expire_actions()::integer AS ended;

-- name: TakeNudges :one
-- Notes which accounts may have something to send sooner.
SELECT thaw.take_nudges()::integer AS taken;

-- name: FollowPersons :one
-- Applies changes of the persons behind accounts to what they have used. Returns how many.
SELECT thaw.follow_persons()::integer AS followed;

-- name: RingActions :exec
-- Notifies listeners on thaw_actions if something is due.
SELECT thaw.ring_actions();

-- name: PushActions :one
-- Reserves due actions of at most that many accounts, and sends them to the platform.
SELECT p.looked::integer AS looked, p.reserved::integer AS reserved FROM thaw.push_actions(sqlc.arg(size)::integer) AS p;

-- name: RecordSchedule :exec
-- Records that the job schedule has finished.
UPDATE thaw.scheduler SET finished_at = thaw.now();

-- name: DueAccounts :many
-- The accounts whose time has come, the longest due first.
SELECT s.account_id FROM thaw.sending_accounts AS s
WHERE s.next_at <= thaw.now() AND s.next_at < 'infinity'
ORDER BY s.next_at
LIMIT sqlc.arg(size)::integer;

-- name: LookAt :one
-- Notes which of the accounts can send nothing now, and when to look at them again.
SELECT l.looked::integer AS looked, l.due::integer AS due FROM thaw.look_at(sqlc.arg(account_ids)::bigint[]) AS l;
