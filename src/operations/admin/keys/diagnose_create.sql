-- What came of creating a key: nothing means that there is no such project.
--
-- ?1 SHA-256   ?2 this write's id, if it came with an Idempotency-Key, or NULL   ?3 this write's hash
-- Plan: (hash=?), keys_by_request
-- Row: {mine, hash, salt, key}; mine says whether it is of this very request
SELECT json_object(
           'mine', iif(coalesce(k.request_hash, ?3) = ?3, 'yes', 'reused'), 'hash', k.hash, 'salt', k.salt,
           'key', json_object('id', k.id, 'project_id', k.project_id, 'user', k.user, 'name', k.name,
                   'can_read', k.can_read, 'can_cancel', k.can_cancel, 'can_run', k.can_run,
                   'created_at', k.created_at, 'expires_at', k.expires_at, 'revoked_at', k.revoked_at,
                   'last_used_on', date(k.last_used_on * 86400, 'unixepoch'), 'access', k.access, 'granted_by', k.granted_by)) AS row
  FROM keys k
 WHERE k.hash = ?1 OR k.request_id = ?2;
