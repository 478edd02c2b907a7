SELECT
    (SELECT count(DISTINCT a.workspace) FROM import_accounts AS a),
    (SELECT count(*) FROM import_accounts),
    (SELECT count(*) FROM import_campaigns),
    (SELECT coalesce(sum(k.enrollments), 0)::bigint FROM import_kept AS k WHERE k.kept = 'stopped'),
    (SELECT coalesce(sum(k.enrollments), 0)::bigint FROM import_kept AS k WHERE k.kept = 'resumed'),
    (SELECT count(*) FROM import_campaigns AS c WHERE c.is_kept),
    (SELECT count(*) FROM import_accounts AS a WHERE a.is_kept);
