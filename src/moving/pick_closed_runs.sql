-- Which rows of closed_runs come next: those of the bucket, by run. All that wait to be counted are looked at: a few, unless the sweeper has
-- stood still.
--
-- ?1 bucket   ?2 after this run   ?3 not used   ?4 how many at most
-- Plan: SCAN c, INTEGER PRIMARY KEY
SELECT c.run_id AS a, c.position AS b
  FROM closed_runs c
 CROSS JOIN runs r ON r.id = c.run_id
 CROSS JOIN projects p ON p.id = r.project_id AND p.bucket = ?1
 WHERE c.run_id > ?2
 ORDER BY c.run_id LIMIT coalesce(?4, 0);
