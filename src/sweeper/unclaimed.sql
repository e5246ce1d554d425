-- Never claimed: cancels the queued runs that could have been claimed for too long and were not, oldest first. While
-- another run holds its concurrency group, a run cannot be claimed; it is left alone, and its time begins afterwards.
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many runs at most   ?4 the tick's id
-- Plan: buckets_frozen, runs_open, INTEGER PRIMARY KEY, runs_by_held_group
-- Row, for each: the run's id
UPDATE runs
   SET version           = version + 1,
       state             = 'cancelled',
       cancelled_at      = max(?1, waiting_since),
       cancel_cause      = 'stale',
       cancel_by         = 'system:sweeper',
       cancel_request_id = ?4,
       cancel_reason     = 'no runner claimed it for ' || CASE
           WHEN due.waited < 60000 THEN printf('%d s', due.waited / 1000)
           WHEN due.waited < 3600000 THEN printf('%d min %d s', due.waited / 60000, due.waited / 1000 % 60)
           ELSE printf('%d h %d min', due.waited / 3600000, due.waited / 60000 % 60) END,
       stop_outcome      = 'never_started'
  FROM (SELECT id, CAST(?1 - waiting_since AS INTEGER) AS waited
          FROM runs r INDEXED BY runs_open
         WHERE open_state = 'queued' AND waiting_since <= ?1 - ?2
           AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id)
           AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.project_id = r.project_id AND o.held_group = r.concurrency_group)
         ORDER BY waiting_since
         LIMIT coalesce(?3, 100)) due
 WHERE runs.id = due.id
RETURNING json(runs.id) AS row;
