-- Number of accounts that stay restricted, and of accounts whose status is newer than the file.
SELECT count(*) FILTER (WHERE change.is_kept), count(*) FILTER (WHERE change.is_newer AND NOT change.is_kept)
FROM import_account_changes AS change;
