-- What came of changing a webhook: nothing means that there is no such webhook.
--
-- ?1 webhook   ?2 environment's slug or NULL
-- Plan: INTEGER PRIMARY KEY, (project_id=? AND slug=?)
-- Row: {id, known, item}; known says whether the environment is one of the project's
SELECT json_object(
           'id', w.id, 'known', json(iif(?2 IS NULL OR EXISTS (SELECT 1 FROM environments e WHERE e.project_id = w.project_id AND e.slug = ?2), 'true', 'false')),
           'item', json(w.webhook)) AS row
  FROM shown_webhooks w
 WHERE w.id = ?1 AND w.deleted_at IS NULL AND w.github IS NULL;
