-- The row that lets a person in, in the first project that has one.
--
-- ?1 address   ?2 now (ms)   ?3 project, or NULL for any
-- Plan: keys_by_access
-- Row: {id, hash, bucket}
SELECT json_object('id', k.id, 'hash', k.hash, 'bucket', (SELECT bucket FROM projects WHERE id = k.project_id)) AS row
  FROM keys k
 WHERE k.access = ?1 AND k.valid_until > ?2
   AND k.project_id BETWEEN coalesce(?3, 1) AND coalesce(?3, 9007199254740991)
 ORDER BY k.project_id LIMIT 1;
