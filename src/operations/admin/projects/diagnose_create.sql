-- What came of creating a project: the one of this write's id or, without one, the one that has the slug.
--
-- ?1 slug   ?2 this write's id   ?3 this write's hash
-- Plan: (slug=?), projects_by_request
-- Row: {mine, item}; mine says whether it is of this very request
SELECT json_object(
           'mine', CASE WHEN p.request_id IS NOT ?2 THEN 'no' WHEN coalesce(p.request_hash, ?3) = ?3 THEN 'yes' ELSE 'reused' END,
           'item', json_object('id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
                   'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
                   'badges', json(iif(p.badges, 'true', 'false')),
                   'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')), 'retention_days', p.retention_days)) AS row
  FROM projects p
 WHERE p.id = coalesce((SELECT id FROM projects WHERE request_id = ?2), (SELECT id FROM projects WHERE slug = ?1));
