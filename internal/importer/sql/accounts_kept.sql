-- Number of accounts that stay restricted.
SELECT count(*) FROM import_account_changes AS change WHERE change.is_kept;
