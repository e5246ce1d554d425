-- Enters a project into the directory, once for a write's id, unless its slug is taken or its bucket is on its way. The directory gives
-- projects their ids, whichever database they live in.
--
-- ?1 slug   ?2 bucket   ?3 this write's id
-- Plan: project_directory_by_request, (bucket=?)
INSERT INTO project_directory (id, slug, bucket, request_id)
SELECT coalesce((SELECT max(id) FROM project_directory), 0) + 1, ?1, ?2, ?3
 WHERE ?1 IS NOT NULL -- so that a console, which binds nothing, enters nothing
   AND NOT EXISTS (SELECT 1 FROM project_directory WHERE request_id = ?3)
   AND NOT EXISTS (SELECT 1 FROM buckets WHERE bucket = ?2 AND state <> 'here' AND state <> 'moved')
ON CONFLICT (slug) DO NOTHING;
