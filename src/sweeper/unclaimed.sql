-- Never claimed: cancels the runs that have waited too long for a runner, oldest first. The reason counts from the
-- registration, because sweeping one run may promote the next in the same statement and so change its waiting_since.
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many runs at most   ?4 the tick's id
-- Plan: runs_unclaimed, INTEGER PRIMARY KEY
-- Row, for each: the run's id
UPDATE runs
   SET state             = 'cancelled',
       cancelled_at      = ?1,
       cancel_cause      = 'stale',
       cancel_by         = 'system:sweeper',
       cancel_request_id = ?4,
       cancel_reason     = 'no runner claimed it for ' || CASE
           WHEN due.waited < 60000 THEN printf('%d s', due.waited / 1000)
           WHEN due.waited < 3600000 THEN printf('%d min %d s', due.waited / 60000, due.waited / 1000 % 60)
           ELSE printf('%d h %d min', due.waited / 3600000, due.waited / 60000 % 60) END,
       stop_outcome      = 'never_started'
  FROM (SELECT id, CAST(?1 - created_at AS INTEGER) AS waited
          FROM runs INDEXED BY runs_unclaimed
         WHERE state IN ('pending', 'queued') AND waiting_since <= ?1 - ?2
         ORDER BY waiting_since
         LIMIT coalesce(?3, 100)) due
 WHERE runs.id = due.id
RETURNING json(runs.id) AS row;
