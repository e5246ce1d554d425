-- Which rows of run_events come next: those of the project's runs, by run and step. A run without one is there, too, with 0.
--
-- ?1 project   ?2 this run or after   ?3 of this run after this step   ?4 how many at most
-- Plan: runs_by_project, (run_id=? AND step>?)
SELECT s.id AS a, coalesce(t.step, 0) AS b
  FROM (SELECT id FROM runs WHERE project_id = ?1 AND id >= ?2 ORDER BY id LIMIT coalesce(?4, 0) + 1) s
  LEFT JOIN run_events t ON t.run_id = s.id AND t.step > iif(s.id = ?2, ?3, 0)
 WHERE s.id > ?2 OR t.step IS NOT NULL
 ORDER BY s.id, t.step LIMIT coalesce(?4, 0);
