-- Which rows of projects come next: those of the bucket, by id.
--
-- ?1 bucket   ?2 after this id   ?3 not used   ?4 how many at most
-- Plan: projects_by_bucket
SELECT id AS a, '' AS b FROM projects WHERE bucket = ?1 AND id > ?2 ORDER BY id LIMIT coalesce(?4, 0);
