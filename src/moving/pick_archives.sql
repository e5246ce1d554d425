-- Which rows of archives come next: those of the project, by the last run.
--
-- ?1 project   ?2 after this run   ?3 not used   ?4 how many at most
-- Plan: PRIMARY KEY (project_id=? AND last_run>?)
SELECT last_run AS a, '' AS b FROM archives WHERE project_id = ?1 AND last_run > ?2 ORDER BY last_run LIMIT coalesce(?4, 0);
