-- The bucket that a project lives in. The directory is in DB.
--
-- ?1 project
-- Plan: INTEGER PRIMARY KEY
-- Row, if there is such a project: the bucket
SELECT json_quote(bucket) AS row FROM project_directory WHERE id = ?1;
