-- Lapsed: cancels the runs of which a runner holds or held a shard whose lease has run out, while no other shard is live,
-- oldest first. Heartbeats in the first half of a lease are not written down, so the silence is only known from below: since
-- the middle of the last lease. The runners are lost already, so no stop is awaited. The reason says which shards are
-- missing, the first eight of each kind.
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
               SELECT iif(runs.total_shards = 1, '', 'shard ' || l.shard || ' of ' || runs.total_shards || ': ')
                      || 'no heartbeat for at least ' || CASE
                      WHEN l.silence < 60000 THEN printf('%d s', l.silence / 1000)
                      WHEN l.silence < 3600000 THEN printf('%d min %d s', l.silence / 60000, l.silence / 1000 % 60)
                      ELSE printf('%d h %d min', l.silence / 3600000, l.silence / 60000 % 60) END AS words
                 FROM (SELECT shard, CAST(?1 - (lease_renewed_at + lease_expires_at) / 2 AS INTEGER) AS silence
                         FROM run_shards WHERE run_id = runs.id AND state = 'started' ORDER BY shard LIMIT 8) l
                UNION ALL
               SELECT * FROM (
                   WITH RECURSIVE n (shard) AS (SELECT 1 UNION ALL SELECT shard + 1 FROM n WHERE shard < runs.total_shards)
                   SELECT 'shard ' || n.shard || ' of ' || runs.total_shards || ': never claimed'
                     FROM n WHERE NOT EXISTS (SELECT 1 FROM run_shards s WHERE s.run_id = runs.id AND s.shard = n.shard)
                    LIMIT 8))),
       stop_outcome      = 'lost',
       stop_closed_at    = max(?1, started_at),
       open_shards       = 0
 WHERE id IN (SELECT id
                FROM (SELECT r.id, (SELECT max(coalesce(ended_at, lease_expires_at)) FROM run_shards WHERE run_id = r.id) AS live_until
                        FROM runs r INDEXED BY runs_open
                       WHERE open_state = 'started' AND open_shards > 0
                         AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id))
               WHERE live_until <= ?1 - ?2
               ORDER BY live_until
               LIMIT coalesce(?3, 100))
RETURNING json(id) AS row;
