-- Creates a webhook, once for a write's id, unless its project has ten already or no such environment.
--
-- ?1 project   ?2 address   ?3 events (JSON array)   ?4 environment's slug or NULL   ?5 branch pattern or NULL   ?6 format
-- ?7 the service's own origin   ?8 now (ms)   ?9 this write's id   ?10 this write's hash
-- Plan: INTEGER PRIMARY KEY, (project_id=? AND slug=?), webhooks_by_request, webhooks_by_project
INSERT INTO webhooks (project_id, url, events, environment_id, branch, format, origin, created_at, request_id, request_hash)
SELECT p.id, ?2, ?3, e.id, ?5, ?6, ?7, ?8, ?9, ?10
  FROM projects p
  LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?4
 WHERE p.id = ?1
   AND (?4 IS NULL OR e.id IS NOT NULL)
   AND NOT EXISTS (SELECT 1 FROM webhooks WHERE request_id = ?9)
   AND (SELECT count(*) FROM webhooks WHERE project_id = ?1 AND deleted_at IS NULL AND github IS NULL) < 10;
