-- A resume keeps the step that the prospect had when it was paused, or the step to which an action
-- that was completed during the pause moved it, unless an import changed it in between.
-- Pauses older than the complete history are skipped, because their imports may have been removed.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: paused at step %s by event %s, resumed at step %s by event %s',
    resume.enrollment_id, pause.step, pause.id, resume.step, resume.id)
FROM thaw.enrollment_events AS resume
JOIN thaw.enrollment_events AS pause
    ON pause.enrollment_id = resume.enrollment_id AND pause.kind IN ('paused', 'settled') AND pause.paused_at = resume.paused_at
WHERE resume.id BETWEEN 0 AND 9223372036854775807 AND resume.kind = 'resumed' AND resume.source IN ('signal', 'sweep', 'heal')
    AND pause.at >= (SELECT kept.history_since FROM thaw.kept AS kept)
    AND pause.source <> 'import' AND pause.id < resume.id AND pause.step <> resume.step
    AND NOT EXISTS (
        SELECT FROM thaw.enrollment_events AS later
        WHERE later.enrollment_id = resume.enrollment_id AND later.kind IN ('imported', 'settled')
            AND later.id > pause.id AND later.id < resume.id)
