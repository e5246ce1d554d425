-- Deletes what is left of the deliveries of a webhook that is deleted, the 500 oldest. admin/webhooks/mark_rest.sql made its newest
-- due, so `hooks`, which is that of take_due.sql, has it until they are all gone.
--
-- ?1 1 (a console, which binds nothing, deletes nothing)
-- Plan: buckets_frozen, deliveries_due, deliveries_by_webhook, INTEGER PRIMARY KEY
WITH RECURSIVE hooks (id) AS (
    SELECT min(webhook_id) FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > 0
    UNION ALL
    SELECT (SELECT min(webhook_id) FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > s.id) FROM hooks s WHERE s.id IS NOT NULL
    LIMIT 200)
DELETE FROM deliveries
 WHERE id IN (SELECT id FROM deliveries
               WHERE webhook_id = (SELECT w.id FROM hooks s
                                    CROSS JOIN webhooks w ON w.id = s.id AND w.deleted_at IS NOT NULL AND w.github IS NULL
                                      AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = w.project_id)
                                    LIMIT 1)
               ORDER BY id LIMIT 500 * coalesce(?1, 0));
