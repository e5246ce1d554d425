-- Makes a row for a person whom the row of their domain lets in, in the first project that does, unless they are in one
-- before it, or in that one, already. It has the scopes and the end of the domain's row, and is revoked with it.
--
-- A row of a person's own says the last word in its project, be it revoked or expired. One that a domain's row has made says it
-- too once it was revoked by hand; if it was revoked with the domain's, it says nothing.
--
-- ?1 address   ?2 now (ms)   ?3 its domain, with @   ?4 project, or NULL for any   ?5 SHA-256 for the row
-- Plan: keys_by_access, buckets_frozen
INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at, expires_at, access, granted_by)
SELECT max(coalesce((SELECT max(id) FROM keys), 0), coalesce((SELECT last_key FROM this_database), 0)) + 1,
       d.project_id, ?1, d.name, ?5, d.can_read, d.can_cancel, d.can_run, ?2, d.expires_at, ?1, d.id
  FROM keys d
 WHERE d.access = ?3 AND d.valid_until > ?2
   AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = d.project_id)
   AND d.project_id BETWEEN coalesce(?4, 1) AND coalesce(?4, 9007199254740991)
   AND d.project_id < coalesce((SELECT k.project_id FROM keys k
                                 WHERE k.access = ?1 AND k.valid_until > ?2
                                   AND k.project_id BETWEEN coalesce(?4, 1) AND coalesce(?4, 9007199254740991)
                                 ORDER BY k.project_id LIMIT 1), 9007199254740992)
   AND NOT EXISTS (SELECT 1 FROM keys k
                    WHERE k.access = ?1 AND k.project_id = d.project_id
                      AND (k.granted_by IS NULL OR k.revoked_at IS NULL
                           OR coalesce((SELECT g.revoked_at FROM keys g WHERE g.id = k.granted_by), 9007199254740991) > k.revoked_at))
 ORDER BY d.project_id LIMIT 1;
