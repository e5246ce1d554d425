-- Gives up what was still to come for webhooks that are switched off, and for GitHub where that is turned off, and orders to cancel a
-- workflow run that are an hour old: somebody may have it run once more, and means it to. 500 at most. `hooks` is that of take_due.sql.
-- What a deleted webhook has is forget.sql's.
--
-- ?1 1 (a console, which binds nothing, changes nothing)   ?2 now (ms)
-- Plan: buckets_frozen, deliveries_due, INTEGER PRIMARY KEY
WITH RECURSIVE hooks (id) AS (
    SELECT min(webhook_id) FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > 0
    UNION ALL
    SELECT (SELECT min(webhook_id) FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > s.id) FROM hooks s WHERE s.id IS NOT NULL
    LIMIT 200)
UPDATE deliveries SET state = 'failed', due_at = NULL, fresh = 0, failure = 'switched_off'
 WHERE id IN (SELECT d.id
                FROM hooks s
               CROSS JOIN webhooks w ON w.id = s.id AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = w.project_id)
                                    AND (w.deleted_at IS NULL OR w.github IS NOT NULL)
                                    AND (w.disabled_at IS NOT NULL OR w.deleted_at IS NOT NULL OR w.github = 'cancel_ci')
               CROSS JOIN deliveries d ON d.webhook_id = s.id AND d.due_at IS NOT NULL
                                      AND (w.disabled_at IS NOT NULL OR w.deleted_at IS NOT NULL OR d.at + 3600000 < ?2)
               LIMIT 500 * coalesce(?1, 0));
