-- Number of campaigns that stay paused.
SELECT count(*) FROM import_campaign_changes AS change WHERE change.is_kept;
