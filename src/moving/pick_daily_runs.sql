-- Which rows of daily_runs come next: those of the project, by environment and day.
--
-- ?1 project   ?2 this environment or after   ?3 of this environment after this day   ?4 how many at most
-- Plan: PRIMARY KEY (project_id=?
SELECT environment_id AS a, day AS b FROM daily_runs
 WHERE project_id = ?1 AND (environment_id, day) > (?2, ?3)
 ORDER BY environment_id, day LIMIT coalesce(?4, 0);
