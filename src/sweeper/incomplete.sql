-- Incomplete: cancels the started runs of which no runner holds a shard and some shard was never claimed, if that has lasted
-- too long (four shards on two machines come in turn), oldest first. The reason says which shards, the first eight.
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many runs at most   ?4 the tick's id
-- Plan: buckets_frozen, runs_open, INTEGER PRIMARY KEY, (run_id=?)
-- Row, for each: the run's id
UPDATE runs
   SET version           = version + 1,
       state             = 'cancelled',
       cancelled_at      = max(?1, started_at),
       cancel_cause      = 'stale',
       cancel_by         = 'system:sweeper',
       cancel_request_id = ?4,
       cancel_reason     = (
           SELECT group_concat(words, '; ') FROM (
               WITH RECURSIVE n (shard) AS (SELECT 1 UNION ALL SELECT shard + 1 FROM n WHERE shard < runs.total_shards)
               SELECT 'shard ' || n.shard || ' of ' || runs.total_shards || ': never claimed' AS words
                 FROM n WHERE NOT EXISTS (SELECT 1 FROM run_shards s WHERE s.run_id = runs.id AND s.shard = n.shard)
                LIMIT 8)),
       stop_outcome      = 'never_started'
 WHERE id IN (SELECT id
                FROM (SELECT r.id, (SELECT max(ended_at) FROM run_shards WHERE run_id = r.id) AS live_until
                        FROM runs r INDEXED BY runs_open
                       WHERE open_state = 'started' AND open_shards = 0
                         AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id))
               WHERE live_until <= ?1 - ?2
               ORDER BY live_until
               LIMIT coalesce(?3, 100))
RETURNING json(id) AS row;
