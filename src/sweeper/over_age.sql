-- Over-age: cancels the runs that started too long ago, however alive, oldest first.
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many runs at most   ?4 the tick's id
-- Plan: buckets_frozen, runs_open, INTEGER PRIMARY KEY
-- Row, for each: the run's id
UPDATE runs
   SET version           = version + 1,
       state             = 'cancelled',
       cancelled_at      = max(?1, started_at),
       cancel_cause      = 'stale',
       cancel_by         = 'system:sweeper',
       cancel_request_id = ?4,
       cancel_reason     = 'still running after ' || CASE
           WHEN due.age < 60000 THEN printf('%d s', due.age / 1000)
           WHEN due.age < 3600000 THEN printf('%d min %d s', due.age / 60000, due.age / 1000 % 60)
           ELSE printf('%d h %d min', due.age / 3600000, due.age / 60000 % 60) END,
       stop_outcome      = iif(open_shards = 0, 'never_started', 'stopping')
  FROM (SELECT id, CAST(?1 - started_at AS INTEGER) AS age
          FROM runs INDEXED BY runs_open
         WHERE open_state = 'started' AND started_at <= ?1 - ?2
           AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = runs.project_id)
         ORDER BY started_at
         LIMIT coalesce(?3, 100)) due
 WHERE runs.id = due.id
RETURNING json(runs.id) AS row;
