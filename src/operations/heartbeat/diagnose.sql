-- What a heartbeat answers: the lease, and the order to stop. It decides nothing. (changes(): see cancel/diagnose.sql.)
--
-- ?1 run   ?2 shard   ?3 lease token
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
-- Row, if the lease is the shard's: its state and lease, the run's project, state and cancel, and whether the lease was
--      just renewed; news is for the hub, if its failed tests may just have cancelled the run
SELECT json_object('renewed', json(iif(changes() = 1, 'true', 'false')), 'project', r.project_id, 'state', r.state, 'shard', s.state,
                   'lease_expires_at', s.lease_expires_at, 'stop_outcome', s.stop_outcome, 'cancelled_at', r.cancelled_at,
                   'cancel_reason', r.cancel_reason, 'cancel_cause', r.cancel_cause, 'cancel_by', r.cancel_by,
                   'kill_at', r.kill_at,
                   'news', json(CASE WHEN changes() = 1 AND r.cancel_cause = 'fail_fast' THEN
                       (SELECT c.news FROM changed_runs c WHERE c.id = r.id) END)) AS row
  FROM (SELECT * FROM run_shards WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3) s
  JOIN runs r ON r.id = s.run_id;
