-- Settings for the statements of a slice: whether to overwrite ($1), the start of the import ($2),
-- which changes to apply ($3: stop or start), whether the commit waits for the disk ($4), and the
-- time of the file ($5).
SELECT set_config('thaw.import_overwrites', $1, true), set_config('thaw.import_began', $2, true),
    set_config('thaw.import_as_of', $5, true),
    set_config('thaw.import_half', $3, true), set_config('synchronous_commit', $4, true),
    -- Update the counts of paused prospects once per account and campaign, not per row
    -- (schema/migrations/00026_counts.sql).
    set_config('thaw.counts_by_statement', 'on', true),
    set_config('statement_timeout', '0', true), set_config('jit', 'off', true), set_config('work_mem', '64MB', true);
