-- Projects, newest first.
--
-- ?1 smaller ids than this   ?2 how many at most
-- Plan: INTEGER PRIMARY KEY
-- Row, for each: the project
SELECT json_object('id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
                   'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
                   'badges', json(iif(p.badges, 'true', 'false')),
                   'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')), 'retention_days', p.retention_days) AS row
  FROM projects p
 WHERE p.id < ?1
 ORDER BY p.id DESC LIMIT coalesce(?2, 100);
