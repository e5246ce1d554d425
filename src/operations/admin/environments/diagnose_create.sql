-- What came of creating an environment: the one that has the slug.
--
-- ?1 project   ?2 slug   ?3 this write's id
-- Plan: INTEGER PRIMARY KEY, (project_id=? AND slug=?)
-- Row, if there is such a project: {mine, item}; mine is 1 if this very request created it
SELECT json_object(
           'mine', e.request_id IS ?3,
           'item', json(CASE WHEN e.id IS NOT NULL THEN json_object('id', e.id, 'name', e.name, 'slug', e.slug) END)) AS row
  FROM projects p
  LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?2
 WHERE p.id = ?1;
