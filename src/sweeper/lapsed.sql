-- Lapsed: cancels the runs whose lease has run out, oldest first. Heartbeats in the first half of a lease are not written
-- down, so the silence is only known from below: since the middle of the last lease. The runner is lost already, so no
-- stop is awaited.
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many runs at most   ?4 the tick's id
-- Plan: runs_open, INTEGER PRIMARY KEY
-- Row, for each: the run's id
UPDATE runs
   SET state             = 'cancelled',
       cancelled_at      = max(?1, started_at),
       cancel_cause      = 'stale',
       cancel_by         = 'system:sweeper',
       cancel_request_id = ?4,
       cancel_reason     = 'no heartbeat for at least ' || CASE
           WHEN due.silence < 60000 THEN printf('%d s', due.silence / 1000)
           WHEN due.silence < 3600000 THEN printf('%d min %d s', due.silence / 60000, due.silence / 1000 % 60)
           ELSE printf('%d h %d min', due.silence / 3600000, due.silence / 60000 % 60) END,
       stop_outcome      = 'lost',
       stop_closed_at    = max(?1, started_at)
  FROM (SELECT id, CAST(?1 - (lease_renewed_at + lease_expires_at) / 2 AS INTEGER) AS silence
          FROM runs INDEXED BY runs_open
         WHERE open_state = 'started' AND lease_expires_at <= ?1 - ?2
         ORDER BY lease_expires_at
         LIMIT coalesce(?3, 100)) due
 WHERE runs.id = due.id
RETURNING json(runs.id) AS row;
