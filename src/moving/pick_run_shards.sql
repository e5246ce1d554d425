-- Which rows of run_shards come next: those of the project's runs, by run and shard. A run without one is there, too, with 0.
--
-- ?1 project   ?2 this run or after   ?3 of this run after this shard   ?4 how many at most
-- Plan: runs_by_project, (run_id=? AND shard>?)
SELECT s.id AS a, coalesce(t.shard, 0) AS b
  FROM (SELECT id FROM runs WHERE project_id = ?1 AND id >= ?2 ORDER BY id LIMIT coalesce(?4, 0) + 1) s
  LEFT JOIN run_shards t ON t.run_id = s.id AND t.shard > iif(s.id = ?2, ?3, 0)
 WHERE s.id > ?2 OR t.shard IS NOT NULL
 ORDER BY s.id, t.shard LIMIT coalesce(?4, 0);
