-- Takes back what let a person, or a domain's people, in so far, unless this very write was made already.
--
-- ?1 project   ?2 address, or @ and a domain   ?3 now (ms)   ?4 this write's SHA-256   ?5 this write's id, if it came with an
-- Idempotency-Key, or NULL
-- Plan: keys_by_access, (hash=?), keys_by_request
UPDATE keys SET revoked_at = ?3
 WHERE access = ?2 AND project_id = ?1 AND revoked_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM keys k WHERE k.hash = ?4)
   AND NOT EXISTS (SELECT 1 FROM keys k WHERE k.request_id = ?5);
