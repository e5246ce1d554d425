-- Registers a run, once for a write's id. With `queue_new` it is pending while its concurrency group has an active run,
-- and refused while a protected run waits for the group. What it takes the place of, the trigger `runs_supersede` cancels.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 environment's slug   ?5 branch   ?6 build (JSON)
-- ?7 metadata (JSON)   ?8 tags (JSON array)   ?9 GitHub actor   ?10 total shards   ?11 protected (0 or 1)
-- ?5 to ?7, ?9 and ?10 may be NULL
-- Plan: (hash=?), INTEGER PRIMARY KEY, (project_id=? AND slug=?), runs_by_active_group
-- Row, if it took: the run's id
INSERT INTO runs (project_id, environment_id, concurrency_group, state, request_id, created_at, created_by, waiting_since,
                  branch, build, metadata, tags, github_actor, total_shards, protected)
SELECT project_id, environment_id, concurrency_group, iif(queues AND taken, 'pending', 'queued'), request_id, ?2, user, ?2,
       ?5, ?6, ?7, ?8, ?9, ?10, ?11
  FROM (SELECT new.*,
               EXISTS (SELECT 1 FROM runs o
                        WHERE o.project_id = new.project_id AND o.active_group = new.concurrency_group) AS taken,
               EXISTS (SELECT 1 FROM runs o
                        WHERE o.project_id = new.project_id AND o.active_group = new.concurrency_group
                          AND o.state = 'pending' AND o.protected = 1) AS reserved
          FROM (SELECT k.project_id, k.user, k.id || ':' || ?3 AS request_id, e.id AS environment_id,
                       p.concurrency_behaviour = 'queue_new' AS queues,
                       CASE p.concurrency_scope
                           WHEN 'project' THEN 'project'
                           WHEN 'environment' THEN 'environment ' || e.id
                           WHEN 'branch_environment' THEN 'environment ' || e.id || ' branch ' || coalesce(?5, '')
                       END AS concurrency_group
                  FROM keys k
                  JOIN projects p ON p.id = k.project_id
                  JOIN environments e ON e.project_id = k.project_id AND e.slug = ?4
                 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2) new)
 WHERE NOT (queues AND reserved)
ON CONFLICT (request_id) DO NOTHING
RETURNING json(id) AS row;
