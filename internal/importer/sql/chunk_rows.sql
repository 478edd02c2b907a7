CREATE TEMP TABLE import_slice (
    workspace      text NOT NULL,
    provider       text NOT NULL,
    account        text NOT NULL,
    campaign       text NOT NULL,
    prospect_url   text NOT NULL,
    external_id    text,
    status         thaw.enrollment_status NOT NULL,
    paused_reason  thaw.pause_reason,
    paused_at      timestamptz,
    step           integer NOT NULL,
    next_action_at timestamptz,
    next_kind      text
) ON COMMIT DROP;
