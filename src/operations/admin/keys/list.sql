-- Keys, newest first, but for those of projects that have moved to another database and are not removed here yet.
--
-- ?1 smaller ids than this   ?2 how many at most
-- Plan: INTEGER PRIMARY KEY, buckets_frozen
-- Row, for each: the key
SELECT json_object('id', k.id, 'project_id', k.project_id, 'user', k.user, 'name', k.name,
                   'can_read', k.can_read, 'can_cancel', k.can_cancel, 'can_run', k.can_run,
                   'created_at', k.created_at, 'expires_at', k.expires_at, 'revoked_at', k.revoked_at,
                   'last_used_on', date(k.last_used_on * 86400, 'unixepoch'), 'access', k.access, 'granted_by', k.granted_by) AS row
  FROM keys k
 WHERE k.id < ?1
   AND NOT EXISTS (SELECT 1 FROM frozen_projects f WHERE f.project_id = k.project_id AND f.state = 'moved')
 ORDER BY k.id DESC LIMIT coalesce(?2, 100);
