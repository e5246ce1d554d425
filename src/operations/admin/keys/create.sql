-- Creates a key; its hash is also the write's id.
--
-- ?1 project   ?2 user   ?3 name   ?4 SHA-256   ?5 may read   ?6 may cancel   ?7 may run (each 0 or 1)
-- ?8 expires at (ms) or NULL   ?9 now (ms)
-- Plan: INTEGER PRIMARY KEY
INSERT INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, expires_at, created_at)
SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM projects WHERE id = ?1
ON CONFLICT (hash) DO NOTHING;
