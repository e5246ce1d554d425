-- What came of creating a project, as DB has it: the one of this write's id or, without one, the one that has the slug. Nothing means
-- that its bucket is on its way.
--
-- ?1 slug   ?2 this write's id   ?3 this write's hash
-- Plan: (slug=?), project_directory_by_request, INTEGER PRIMARY KEY, (bucket=?)
-- Row: [id, slug, bucket, mine, item]; mine says whether it is of this very request; item is null if it lives, or is to live, in another
--      database
SELECT json_array(
           d.id, d.slug, d.bucket,
           CASE WHEN p.request_id IS NOT ?2 THEN 'no' WHEN coalesce(p.request_hash, ?3) = ?3 THEN 'yes' ELSE 'reused' END,
           json((SELECT project FROM shown_projects WHERE id = p.id))) AS row
  FROM project_directory d
  LEFT JOIN projects p ON p.id = d.id AND NOT EXISTS (SELECT 1 FROM buckets WHERE bucket = d.bucket AND state <> 'here')
 WHERE d.id = coalesce((SELECT id FROM project_directory WHERE request_id = ?2), (SELECT id FROM project_directory WHERE slug = ?1));
