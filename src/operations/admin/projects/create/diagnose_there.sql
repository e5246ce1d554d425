-- What came of creating a project in another database than DB.
--
-- ?1 project   ?2 this write's id   ?3 this write's hash
-- Plan: INTEGER PRIMARY KEY
-- Row: [id, slug, bucket, mine, item]; mine says whether it is of this very request
SELECT json_array(
           p.id, p.slug, p.bucket,
           CASE WHEN p.request_id <> ?2 THEN 'no' WHEN p.request_hash = ?3 THEN 'yes' ELSE 'reused' END,
           json(p.project)) AS row
  FROM shown_projects p
 WHERE p.id = ?1;
