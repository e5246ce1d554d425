-- Which rows of webhooks come next: those of the bucket, by id, deleted ones too.
--
-- ?1 bucket   ?2 after this id   ?3 not used   ?4 how many at most
-- Plan: INTEGER PRIMARY KEY (rowid>?), projects_by_bucket
SELECT id AS a, '' AS b FROM webhooks
 WHERE id > ?2 AND +project_id IN (SELECT id FROM projects WHERE bucket = ?1)
 ORDER BY id LIMIT coalesce(?4, 0);
