-- Registers a run, once for a write's id, unless its group has a run to join: one that is not over or, over or not, one of
-- this attempt or a later one. Without an attempt it is a later one if its shard was run before in a run that is over: a job
-- that was retried, and not one that comes late. With `queue_new` it is pending while its concurrency group has an active
-- run, and refused while a protected run waits for the group. What it takes the place of, the trigger `runs_supersede`
-- cancels.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 environment's slug
-- ?6 branch   ?7 build (JSON)   ?8 metadata (JSON)   ?9 tags (JSON array)   ?10 GitHub actor   ?11 total shards
-- ?12 protected (0 or 1)   ?13 1 if the database takes no more runs, or 0   ?14 fail_fast   ?15 group   ?16 attempt
-- ?17 the caller's shard; ?6 to ?8, ?10 and ?14 to ?17 may be NULL
-- Plan: (hash=?), INTEGER PRIMARY KEY, (project_id=? AND slug=?), runs_by_active_group, runs_by_run_group
INSERT INTO runs (id, project_id, environment_id, concurrency_group, state, request_id, request_hash, created_at, created_by, waiting_since,
                  branch, build, metadata, tags, github_actor, total_shards, protected, fail_fast, run_group, attempt)
SELECT max(coalesce((SELECT max(id) FROM runs), 0), coalesce((SELECT last_run FROM this_database), 0)) + 1,
       project_id, environment_id, concurrency_group, iif(queues AND taken, 'pending', 'queued'), request_id, ?4, ?2, user, ?2,
       ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?14, ?15, coalesce(?16, 1 + latest, 1)
  FROM (SELECT new.*,
               EXISTS (SELECT 1 FROM runs o
                        WHERE o.project_id = new.project_id AND o.active_group = new.concurrency_group) AS taken,
               EXISTS (SELECT 1 FROM runs o
                        WHERE o.project_id = new.project_id AND o.active_group = new.concurrency_group
                          AND o.state = 'pending' AND o.protected = 1) AS reserved,
               (SELECT max(g.attempt) FROM runs g WHERE g.project_id = new.project_id AND g.run_group = ?15) AS latest
          FROM (SELECT k.project_id, k.user, k.id || ':' || ?3 AS request_id, e.id AS environment_id,
                       p.concurrency_behaviour = 'queue_new' AS queues,
                       CASE p.concurrency_scope
                           WHEN 'project' THEN 'project'
                           WHEN 'environment' THEN 'environment ' || e.id
                           WHEN 'branch_environment' THEN 'environment ' || e.id || ' branch ' || coalesce(?6, '')
                       END AS concurrency_group
                  FROM keys k
                  JOIN projects p ON p.id = k.project_id
                  JOIN environments e ON e.project_id = k.project_id AND e.slug = ?5 AND e.disabled = 0
                 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2) new) new
 WHERE NOT (queues AND reserved) AND ?13 = 0
   AND (latest IS NULL OR EXISTS (
       SELECT 1 FROM runs g
        WHERE g.project_id = new.project_id AND g.run_group = ?15 AND g.attempt = latest AND g.open_state IS NULL
          AND iif(?16 IS NULL, EXISTS (SELECT 1 FROM run_shards s WHERE s.run_id = g.id AND s.shard = ?17), latest < ?16)))
ON CONFLICT (request_id) DO NOTHING;
