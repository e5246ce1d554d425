-- What came of creating a project in another database than DB.
--
-- ?1 project   ?2 this write's id   ?3 this write's hash
-- Plan: INTEGER PRIMARY KEY
-- Row: {mine, item}; mine says whether it is of this very request
SELECT json_object(
           'mine', CASE WHEN p.request_id <> ?2 THEN 'no' WHEN p.request_hash = ?3 THEN 'yes' ELSE 'reused' END,
           'item', json(p.project)) AS row
  FROM shown_projects p
 WHERE p.id = ?1;
