-- Deletes what the project's webhooks heard of the runs of an archive, and what went to GitHub of them, also if that is turned off by
-- now: but for what is still to come, and for the newest delivery of all, as the next one's id is one more than its.
--
-- ?1 project   ?2 the archive's first run   ?3 its last
-- Plan: buckets_frozen, (project_id=? AND last_run=?), webhooks_by_project, webhooks_by_request, deliveries_by_event
DELETE FROM deliveries
 WHERE id IN (SELECT d.id FROM archives a
               CROSS JOIN webhooks w ON w.id IN (
                     SELECT id FROM webhooks WHERE project_id = a.project_id AND deleted_at IS NULL
                      UNION ALL
                     SELECT id FROM webhooks
                      WHERE (request_id = 'github:check_runs:' || a.project_id OR request_id = 'github:cancel_ci:' || a.project_id)
                        AND deleted_at IS NOT NULL)
               CROSS JOIN deliveries d ON d.webhook_id = w.id AND d.run_id BETWEEN a.first_run AND a.last_run
               WHERE a.project_id = ?1 AND a.last_run = ?3 AND a.first_run = ?2 AND d.redelivers IS NULL
                 AND (d.state = 'delivered' OR d.state = 'failed' OR w.deleted_at IS NOT NULL)
                 AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = a.project_id))
   AND id < (SELECT max(id) FROM deliveries);
