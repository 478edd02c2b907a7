-- How many campaigns stay stopped.
SELECT count(*) FROM import_campaign_changes AS change WHERE change.is_kept;
