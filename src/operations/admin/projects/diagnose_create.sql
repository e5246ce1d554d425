-- What came of creating a project: the one that has the slug.
--
-- ?1 slug   ?2 this write's id
-- Plan: (slug=?)
-- Row: {mine, item}; mine is 1 if this very request created it
SELECT json_object(
           'mine', p.request_id = ?2,
           'item', json_object('id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
                   'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour))) AS row
  FROM projects p
 WHERE p.slug = ?1;
