-- What came of creating an environment: the one of this write's id or, without one, the one that has the slug.
--
-- ?1 project   ?2 slug   ?3 this write's id   ?4 this write's hash
-- Plan: INTEGER PRIMARY KEY, (project_id=? AND slug=?), environments_by_request
-- Row, if there is such a project: {mine, item}; mine says whether it is of this very request
SELECT json_object(
           'mine', CASE WHEN e.request_id IS NOT ?3 THEN 'no' WHEN coalesce(e.request_hash, ?4) = ?4 THEN 'yes' ELSE 'reused' END,
           'item', json(CASE WHEN e.id IS NOT NULL THEN json_object('id', e.id, 'name', e.name, 'slug', e.slug,
                   'disabled', json(iif(e.disabled, 'true', 'false'))) END)) AS row
  FROM projects p
  LEFT JOIN environments e ON e.id = coalesce((SELECT id FROM environments WHERE request_id = ?3),
                                              (SELECT id FROM environments WHERE project_id = ?1 AND slug = ?2))
 WHERE p.id = ?1;
