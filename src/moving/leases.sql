-- Nobody could renew a lease while the bucket was frozen: so each has a whole one from now on, and no runner is taken for lost because
-- of a move. With the statement that thaws it, in one transaction.
--
-- ?1 bucket   ?2 now and a lease (ms)   ?3 the progress that the bucket's row has once it is here
-- Plan: (bucket=?), projects_by_bucket, runs_open, runs_stopping, (run_id=?)
UPDATE run_shards SET lease_expires_at = ?2
 WHERE run_id IN (SELECT r.id FROM projects p CROSS JOIN runs r INDEXED BY runs_open ON r.open_state = 'started' AND r.project_id = p.id
                   WHERE p.bucket = ?1
                  UNION ALL
                  SELECT r.id FROM runs r INDEXED BY runs_stopping
                   WHERE r.stop_outcome = 'stopping' AND r.project_id IN (SELECT id FROM projects WHERE bucket = ?1))
   AND state = 'started' AND lease_expires_at < ?2
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = 'here' AND progress = ?3);
