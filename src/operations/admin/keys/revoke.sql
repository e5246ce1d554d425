-- Revokes a key, once.
--
-- ?1 key's id   ?2 now (ms)
-- Plan: INTEGER PRIMARY KEY
UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL;
