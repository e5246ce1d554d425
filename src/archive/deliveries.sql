-- Deletes what the project's webhooks heard of the runs of an archive, but for what is still to come, and for the newest delivery of
-- all: the next one's id is one more than its.
--
-- ?1 project   ?2 the archive's first run   ?3 its last
-- Plan: buckets_frozen, (project_id=? AND last_run=?), webhooks_by_project, deliveries_by_event
DELETE FROM deliveries
 WHERE id IN (SELECT d.id FROM archives a
               CROSS JOIN webhooks w ON w.project_id = a.project_id AND w.deleted_at IS NULL
               CROSS JOIN deliveries d ON d.webhook_id = w.id AND d.run_id BETWEEN a.first_run AND a.last_run
               WHERE a.project_id = ?1 AND a.last_run = ?3 AND a.first_run = ?2 AND d.redelivers IS NULL
                 AND (d.state = 'delivered' OR d.state = 'failed')
                 AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = a.project_id))
   AND id < (SELECT max(id) FROM deliveries);
