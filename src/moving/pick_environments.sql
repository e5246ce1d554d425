-- Which rows of environments come next: those of the project, by id.
--
-- ?1 project   ?2 after this id   ?3 not used   ?4 how many at most
-- Plan: environments_by_project
SELECT id AS a, '' AS b FROM environments WHERE project_id = ?1 AND id > ?2 ORDER BY id LIMIT coalesce(?4, 0);
