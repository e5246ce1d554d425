-- Lets a person, or a domain's people, into a project, once for a write's id. Its hash is an id too.
--
-- ?1 project   ?2 address, or @ and a domain   ?3 SHA-256   ?4 may read   ?5 may cancel   ?6 may run (each 0 or 1)
-- ?7 expires at (ms) or NULL   ?8 now (ms)   ?9 this write's id, if it came with an Idempotency-Key, or NULL
-- ?10 this write's hash
-- Plan: INTEGER PRIMARY KEY, (hash=?), keys_by_request
INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, expires_at, created_at, request_id, request_hash, access)
SELECT max(coalesce((SELECT max(id) FROM keys), 0), coalesce((SELECT last_key FROM this_database), 0)) + 1,
       id, ?2, 'company account', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?2
  FROM projects
 WHERE id = ?1
   AND NOT EXISTS (SELECT 1 FROM keys WHERE hash = ?3)
   AND NOT EXISTS (SELECT 1 FROM keys WHERE request_id = ?9);
