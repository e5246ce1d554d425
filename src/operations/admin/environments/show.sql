-- One environment.
--
-- ?1 environment
-- Plan: INTEGER PRIMARY KEY
-- Row: the environment
SELECT json_object('id', e.id, 'name', e.name, 'slug', e.slug, 'disabled', json(iif(e.disabled, 'true', 'false'))) AS row
  FROM environments e
 WHERE e.id = ?1;
