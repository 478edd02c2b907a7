SELECT
    (SELECT count(DISTINCT a.workspace) FROM import_accounts AS a),
    (SELECT count(*) FROM import_accounts),
    (SELECT count(*) FROM import_campaigns);
