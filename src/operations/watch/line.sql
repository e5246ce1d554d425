-- Which project's hub a shard's line goes to.
--
-- ?1 run   ?2 shard   ?3 lease token
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
-- Row, if the lease is the shard's: its project and state, and the run's
SELECT json_object('project', r.project_id, 'shard', s.state, 'state', r.state) AS row
  FROM (SELECT * FROM run_shards WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3) s
  JOIN runs r ON r.id = s.run_id;
