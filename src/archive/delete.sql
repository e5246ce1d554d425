-- Deletes the runs that an archive covers, with their events and shards.
--
-- ?1 project   ?2 the archive's first run   ?3 its last
-- Plan: buckets_frozen, (project_id=? AND last_run=?), runs_by_project
DELETE FROM runs
 WHERE id IN (SELECT r.id FROM archives a
               CROSS JOIN runs r INDEXED BY runs_by_project ON r.project_id = a.project_id AND r.id BETWEEN a.first_run AND a.last_run
               WHERE a.project_id = ?1 AND a.last_run = ?3 AND a.first_run = ?2
                 AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = a.project_id));
