-- What an archive begins with: what it is, its project, and the environments of its runs, each as its row is.
--
-- ?1 project   ?2 the first run   ?3 the last
-- Plan: INTEGER PRIMARY KEY, runs_by_project
-- Row, for each line: {kind, …}
SELECT json_object('kind', 'archive', 'version', 1, 'project', CAST(?1 AS INTEGER), 'first_run', CAST(?2 AS INTEGER),
                   'last_run', CAST(?3 AS INTEGER)) AS row
 WHERE ?1 IS NOT NULL
 UNION ALL
SELECT json_object('kind', 'project', 'row',
                   json_object('id', p.id, 'slug', p.slug, 'name', p.name, 'repo_name', p.repo_name, 'request_id',
                   p.request_id, 'created_at', p.created_at, 'concurrency_scope', p.concurrency_scope,
                   'concurrency_behaviour', p.concurrency_behaviour, 'request_hash', p.request_hash, 'badges',
                   p.badges, 'changed_at', p.changed_at, 'stop_on_close', p.stop_on_close, 'retention_days',
                   p.retention_days, 'bucket', p.bucket))
  FROM projects p
 WHERE p.id = ?1
 UNION ALL
SELECT json_object('kind', 'environment', 'row',
                   json_object('id', e.id, 'project_id', e.project_id, 'slug', e.slug, 'name', e.name, 'request_id',
                   e.request_id, 'created_at', e.created_at, 'request_hash', e.request_hash, 'disabled', e.disabled,
                   'changed_at', e.changed_at))
  FROM (SELECT DISTINCT environment_id AS id
          FROM runs INDEXED BY runs_by_project WHERE project_id = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY environment_id) o
 CROSS JOIN environments e ON e.id = o.id;
