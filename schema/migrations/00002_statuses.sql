-- The statuses of accounts, campaigns and enrollments, and the reasons of a pause. What each status
-- and reason means is decided here and nowhere else. The functions are inlined.

-- +goose Up

CREATE TYPE thaw.account_status AS ENUM (
    'connecting', 'connected', 'needs_verification', 'disconnected', 'restricted', 'error', 'removed');

CREATE TYPE thaw.campaign_status AS ENUM ('draft', 'running', 'paused', 'completed');

CREATE TYPE thaw.enrollment_status AS ENUM (
    'pending', 'active', 'paused', 'completed', 'replied', 'failed', 'removed');

-- The last three are deprecated: platforms still write them, but no row has them
-- (thaw.current_reason).
CREATE TYPE thaw.pause_reason AS ENUM (
    'account_disconnected', 'account_issue', 'account_restricted',
    'high_failure_rate', 'subscription_inactive', 'paused_by_user',
    'linkedin_account_disconnected', 'linkedin_account_issue', 'linkedin_high_failure_rate');

-- The reason that replaces a deprecated one; any other reason is returned unchanged. Triggers apply
-- it to every row that is written, so only current reasons are stored.
-- +goose StatementBegin
CREATE FUNCTION thaw.current_reason(p_reason thaw.pause_reason) RETURNS thaw.pause_reason LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_reason
    WHEN 'linkedin_account_disconnected' THEN 'account_disconnected'::thaw.pause_reason
    WHEN 'linkedin_account_issue' THEN 'account_issue'::thaw.pause_reason
    WHEN 'linkedin_high_failure_rate' THEN 'high_failure_rate'::thaw.pause_reason
    ELSE p_reason
END;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.current_reason(thaw.pause_reason) IS
    'The reason that replaces a deprecated pause reason; any other reason is returned unchanged.';

-- The current reasons, in their order.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_reasons() RETURNS thaw.pause_reason[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(
    SELECT word.reason FROM unnest(enum_range(NULL::thaw.pause_reason)) AS word (reason)
    WHERE word.reason = thaw.current_reason(word.reason) ORDER BY word.reason);
-- +goose StatementEnd

-- Whether a pause for this reason ends when an account connects: only rows with such a reason are
-- resumed automatically. Null: not paused.
-- +goose StatementBegin
CREATE FUNCTION thaw.waits_for_account(p_reason thaw.pause_reason) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IS NOT NULL AND p_reason IN ('account_disconnected', 'account_issue');
-- +goose StatementEnd

-- Whether only a person ends a pause for this reason: no file, signal or sweep does.
-- +goose StatementBegin
CREATE FUNCTION thaw.waits_for_person(p_reason thaw.pause_reason) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IS NOT NULL AND p_reason IN ('account_restricted', 'paused_by_user');
-- +goose StatementEnd

-- Whether only campaigns are paused for this reason, and not enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_of_campaigns(p_reason thaw.pause_reason) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IS NOT NULL AND p_reason IN ('high_failure_rate', 'subscription_inactive');
-- +goose StatementEnd

-- Whether an account with this status may connect again without a person: its pause is due only
-- after the grace period. In every other status except connected, it is due at once.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_transient(p_status thaw.account_status) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_status IN ('connecting', 'error');
-- +goose StatementEnd

-- Whether an account with this status is gone: it connects again only after a person acts. Its
-- prospects move to a connected account of the same person, if there is one (thaw.sibling_targets).
-- An account with a transient error keeps those that are not paused, because it may come back on
-- its own. A restricted account keeps all, because a person has to decide about them.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_gone(p_status thaw.account_status) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_status NOT IN ('connected', 'restricted') AND NOT thaw.is_transient(p_status);
-- +goose StatementEnd

-- The reason for which prospects of an account with this status are paused.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_reason_of(p_status thaw.account_status) RETURNS thaw.pause_reason LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_status = 'restricted' THEN 'account_restricted'::thaw.pause_reason
    WHEN p_status IN ('disconnected', 'removed') THEN 'account_disconnected'::thaw.pause_reason
    ELSE 'account_issue'::thaw.pause_reason
END;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION thaw.pause_reason_of(thaw.account_status);
DROP FUNCTION thaw.is_gone(thaw.account_status);
DROP FUNCTION thaw.is_transient(thaw.account_status);
DROP FUNCTION thaw.is_of_campaigns(thaw.pause_reason);
DROP FUNCTION thaw.waits_for_person(thaw.pause_reason);
DROP FUNCTION thaw.waits_for_account(thaw.pause_reason);
DROP FUNCTION thaw.pause_reasons();
DROP FUNCTION thaw.current_reason(thaw.pause_reason);
DROP TYPE thaw.pause_reason, thaw.enrollment_status, thaw.campaign_status, thaw.account_status;
