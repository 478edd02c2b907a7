-- What the statements of a slice read: whether the file wins ($1), when the import began ($2), which half of the statuses is applied
-- ($3: stop or start), and whether the commit waits for the disk ($4).
SELECT set_config('thaw.import_overwrites', $1, true), set_config('thaw.import_began', $2, true),
    set_config('thaw.import_half', $3, true), set_config('synchronous_commit', $4, true),
    -- What is paused is counted once per account and campaign, not row by row (schema/migrations/00016_counts.sql).
    set_config('thaw.set_based', 'on', true),
    set_config('statement_timeout', '0', true), set_config('jit', 'off', true), set_config('work_mem', '64MB', true);
