-- Takes out of the queue what count.sql has counted, in the same transaction.
--
-- ?1 how many runs at most
-- Plan: INTEGER PRIMARY KEY, buckets_frozen
DELETE FROM closed_runs
 WHERE position <= (SELECT max(position) FROM (SELECT position FROM countable_runs ORDER BY position LIMIT coalesce(?1, 0)))
   AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = (SELECT project_id FROM runs WHERE id = closed_runs.run_id));
