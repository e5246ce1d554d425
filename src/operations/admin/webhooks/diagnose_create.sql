-- What came of creating a webhook: nothing means that there is no such project.
--
-- ?1 project   ?2 environment's slug or NULL   ?3 this write's id   ?4 this write's hash
-- Plan: INTEGER PRIMARY KEY, (project_id=? AND slug=?), webhooks_by_request
-- Row: {known, mine, id, generation, item}; known says whether the environment is one of the project's; the others are null,
--      and the id is 0, if nothing was created: the project has as many as it may; mine says whether it is of this very request
SELECT json_object(
           'known', json(iif(?2 IS NULL OR EXISTS (SELECT 1 FROM environments WHERE project_id = p.id AND slug = ?2), 'true', 'false')),
           'mine', CASE WHEN w.id IS NOT NULL THEN iif(w.request_hash = ?4, 'yes', 'reused') END,
           'id', coalesce(w.id, 0), 'generation', w.generation, 'item', json(w.webhook)) AS row
  FROM projects p
  LEFT JOIN shown_webhooks w ON w.request_id = ?3
 WHERE p.id = ?1;
