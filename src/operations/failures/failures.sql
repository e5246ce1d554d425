-- Which tests of one run have failed, shard by shard, at most 50. (The tests of a shard come in the order in which they are
-- stored. To sort them, too, would read each twice.)
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run
-- Plan: (hash=?), runs_by_project, (run_id=?), (project_id=? AND last_run>?)
-- Row: {key, failures, archived}; failures is null if the key may not see the run or it is archived; archived says in which object it is
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'failures', json(CASE WHEN r.id IS NOT NULL THEN
               (SELECT json_group_array(json_object(
                           'shard', shard, 'title', failure ->> 'title', 'file', failure ->> 'file', 'line', failure ->> 'line',
                           'message', failure ->> 'message'))
                  FROM (SELECT s.shard, f.value AS failure FROM run_shards s JOIN json_each(s.failures) f
                         WHERE s.run_id = r.id ORDER BY s.shard LIMIT 50)) END),
           'archived', json((SELECT json_array(a.object, json(a.members), a.last_run)
              FROM (SELECT * FROM archives
                     WHERE project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL) AND last_run >= ?3
                     ORDER BY last_run LIMIT 1) a
             WHERE instr(a.run_ids, ',' || CAST(?3 AS INTEGER) || ',') > 0))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON r.id = iif(k.can_read = 1 AND k.valid_until > ?2, ?3, NULL) AND r.project_id = k.project_id;
