-- Writes down what was archived, if it is still as it was read: all of the runs in the range, each with the version that it had,
-- and as many events and shards: an event may come without a new version. Then delete.sql, in the same transaction, may delete them.
-- A repeat finds them gone, and writes nothing; nor is anything written while the project is being moved.
--
-- ?1 project   ?2 the first run   ?3 the last   ?4 runs   ?5 events   ?6 shards   ?7 the sum of their versions   ?8 now (ms)
-- ?9 the object's key in the bucket   ?10 its SHA-256   ?11 its bytes   ?12 its members (JSON)
-- Plan: buckets_frozen, runs_by_project, (run_id=?)
INSERT INTO archives (project_id, first_run, last_run, run_ids, runs, events, shards, archived_at, object, sha256, bytes, members)
SELECT ?1, ?2, ?3, ',' || ids || ',', ?4, ?5, ?6, ?8, ?9, ?10, ?11, ?12
  FROM (SELECT count(*) AS runs, sum(version) AS versions, group_concat(id) AS ids, sum(events) AS events, sum(shards) AS shards
          FROM (SELECT id, version,
                       (SELECT count(*) FROM run_events e WHERE e.run_id = r.id) AS events,
                       (SELECT count(*) FROM run_shards s WHERE s.run_id = r.id) AS shards
                  FROM runs r INDEXED BY runs_by_project
                 WHERE project_id = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id)) o
 WHERE runs = ?4 AND events = ?5 AND shards = ?6 AND versions = ?7 AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = ?1);
