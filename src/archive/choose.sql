-- Chooses what is archived next: the oldest runs of one project, as far as they are over, have stopped and are older than the project
-- keeps them. The first one that is not ends it, so that archives follow one another.
--
-- Which project is a matter of the minute: `turn` is a number below 2^32 that goes on by the golden ratio, so that it soon comes near
-- every number, also if ticks come every other minute only. By it, `half` halves the projects' ids, from the first that there is to the
-- last, until one is left: so a hole in the ids takes no turns. It is the turn of the first project from there on, in a round of fifteen,
-- that has something. Each project has its own within some three ticks for each project that there is; more, where the ids lie
-- very unevenly.
--
-- A run's shards are looked at only if it might fit by their number.
--
-- "Older" is as of the last midnight (UTC): a tick that does the same again chooses the same.
--
-- ?1 now (ms)   ?2 how many runs at most   ?3 how many bytes at most, by run_sizes   ?4 for how long a late result may come (ms)
-- Plan: INTEGER PRIMARY KEY, buckets_frozen, runs_by_project, (run_id=?)
-- Row, if there is something: [project, first run, last run, runs, events, shards, sum of the runs' versions, bytes]
WITH RECURSIVE half (first, last, turn) AS (
    SELECT (SELECT min(id) FROM projects), (SELECT max(id) FROM projects), CAST(?1 / 60000 AS INTEGER) * 2654435769 % 4294967296
    UNION ALL
    SELECT iif(turn < 2147483648, first, (SELECT min(id) FROM projects WHERE id > (first + last) / 2)),
           iif(turn < 2147483648, (SELECT max(id) FROM projects WHERE id <= (first + last) / 2), last),
           turn * 2 % 4294967296
      FROM half WHERE first < last
     LIMIT 60),
c AS MATERIALIZED (
    SELECT w.id, w.before
      FROM (SELECT id, passed, (CAST(?1 / 86400000 AS INTEGER) - retention_days) * 86400000 AS before
              FROM (SELECT * FROM (SELECT id, retention_days, 0 AS passed FROM projects
                                    WHERE id >= (SELECT first FROM half WHERE first = last) ORDER BY id LIMIT 15)
                    UNION ALL
                    SELECT * FROM (SELECT id, retention_days, 1 FROM projects
                                    WHERE id < (SELECT first FROM half WHERE first = last) ORDER BY id LIMIT 15)
                    LIMIT 15)
             WHERE retention_days > 0 AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = id)) w
     CROSS JOIN runs r ON r.id = (SELECT id FROM runs WHERE project_id = w.id ORDER BY id LIMIT 1)
     WHERE r.open_state IS NULL AND r.stop_outcome IS NOT 'stopping' AND r.id < (SELECT max(id) FROM runs)
       AND coalesce(r.stop_closed_at, r.ended_at, r.cancelled_at) < w.before
       AND (r.stop_outcome IS NOT 'lost' OR r.stop_closed_at + ?4 < CAST(?1 / 86400000 AS INTEGER) * 86400000)
     ORDER BY w.passed, w.id LIMIT 1),
o AS MATERIALIZED (
    SELECT *, max(stays) OVER walk AS behind, sum(size) OVER walk AS bytes
      FROM (SELECT c.id AS project, g.id, g.version,
                   g.open_state IS NOT NULL OR g.stop_outcome IS 'stopping'
                     OR coalesce(g.stop_closed_at, g.ended_at, g.cancelled_at) >= c.before
                     OR (g.stop_outcome IS 'lost' AND g.stop_closed_at + ?4 >= CAST(?1 / 86400000 AS INTEGER) * 86400000)
                     OR g.id = (SELECT max(id) FROM runs) AS stays,
                   (SELECT count(*) FROM run_events e WHERE e.run_id = g.id) AS events,
                   (SELECT count(*) FROM run_shards s WHERE s.run_id = g.id) AS shards,
                   (SELECT size FROM run_sizes WHERE id = g.id) AS size
              FROM c
             CROSS JOIN (SELECT *, 4000 + 1500 * total_shards AS own, sum(4000 + 1500 * total_shards) OVER (ORDER BY id) AS most
                           FROM (SELECT * FROM runs INDEXED BY runs_by_project
                                  WHERE project_id = (SELECT id FROM c) ORDER BY id LIMIT coalesce(?2, 0))) g
             WHERE g.most <= ?3 OR g.most = g.own)
    WINDOW walk AS (ORDER BY id))
SELECT json_array(project, min(id), max(id), count(*), sum(events), sum(shards), sum(version), sum(size)) AS row
  FROM o
 WHERE behind = 0 AND (bytes <= ?3 OR bytes = size)
 GROUP BY project;
