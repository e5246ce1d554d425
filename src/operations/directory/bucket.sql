-- The bucket that a project lives in, by its id or its slug. The directory is in DB.
--
-- ?1 project, or NULL   ?2 its slug, if no project is given
-- Plan: INTEGER PRIMARY KEY, (slug=?)
-- Row, if there is such a project: the bucket
SELECT json_quote(bucket) AS row
  FROM project_directory
 WHERE id = coalesce(?1, (SELECT id FROM project_directory WHERE slug = ?2));
