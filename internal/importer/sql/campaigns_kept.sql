-- Number of campaigns that stay paused, and of campaigns that changed after the time of the file.
SELECT count(*) FILTER (WHERE change.is_kept), count(*) FILTER (WHERE change.is_newer AND NOT change.is_kept)
FROM import_campaign_changes AS change;
