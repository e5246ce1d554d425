-- Creates a key, once for a write's id. Its hash is an id too.
--
-- ?1 project   ?2 user   ?3 name   ?4 SHA-256   ?5 may read   ?6 may cancel   ?7 may run (each 0 or 1)
-- ?8 expires at (ms) or NULL   ?9 now (ms)   ?10 this write's id, if it came with an Idempotency-Key, or NULL
-- ?11 this write's hash   ?12 the salt that goes with the id, or NULL
-- Plan: INTEGER PRIMARY KEY, (hash=?), keys_by_request
INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, expires_at, created_at, request_id, request_hash, salt)
SELECT max(coalesce((SELECT max(id) FROM keys), 0), coalesce((SELECT last_key FROM this_database), 0)) + 1,
       id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
  FROM projects
 WHERE id = ?1
   AND NOT EXISTS (SELECT 1 FROM keys WHERE hash = ?4)
   AND NOT EXISTS (SELECT 1 FROM keys WHERE request_id = ?10);
