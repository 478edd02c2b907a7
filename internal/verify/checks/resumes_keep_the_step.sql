-- A resume keeps the step that the prospect had when it was paused, unless an import changed it in
-- between.
-- Pauses older than the complete history are skipped, because their imports may have been removed.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: paused at step %s by event %s, resumed at step %s by event %s',
    resume.enrollment_id, pause.step, pause.id, resume.step, resume.id)
FROM thaw.enrollment_events AS resume
JOIN thaw.enrollment_events AS pause
    ON pause.enrollment_id = resume.enrollment_id AND pause.kind = 'paused' AND pause.paused_at = resume.paused_at
WHERE resume.id BETWEEN 0 AND 9223372036854775807 AND resume.kind = 'resumed' AND resume.source IN ('signal', 'sweep', 'heal')
    AND pause.at >= (SELECT kept.history_since FROM thaw.kept AS kept)
    AND pause.source <> 'import' AND pause.step <> resume.step
    AND NOT EXISTS (
        SELECT FROM thaw.enrollment_events AS import
        WHERE import.enrollment_id = resume.enrollment_id AND import.kind = 'imported'
            AND import.id BETWEEN pause.id AND resume.id)
