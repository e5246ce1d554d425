-- The projects of a bucket, by id.
--
-- ?1 bucket   ?2 how many at most
-- Plan: projects_by_bucket
-- Row: the ids
SELECT json_group_array(id) AS row FROM (SELECT id FROM projects WHERE bucket = ?1 ORDER BY id LIMIT coalesce(?2, 0)) s;
