-- Why a finish took or did not: the shard and its run as they are now. It decides nothing.
--
-- ?1 run   ?2 shard   ?3 lease token   ?4 this write's id   ?5 this write's hash
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
-- Row, if the lease is the shard's: {run, shard, cancel_reason, cancel_cause, stop_outcome, late, news, mine}; news is for the hub; late says whether a late
--      result is kept; mine says whether this very request finished it. Requests from before 0.2.0 have a key's id where
--      others have `lease`.
SELECT json_object(
           'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                              'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by),
           'shard', json_object('shard', s.shard, 'state', s.state, 'result', s.result),
           'cancel_reason', r.cancel_reason, 'cancel_cause', r.cancel_cause, 'stop_outcome', s.stop_outcome,
           'kill_at', r.kill_at, 'late', json(iif(s.late_result IS NULL, 'false', 'true')), 'news', json(r.news),
           'mine', CASE WHEN substr(s.finish_request_id, instr(s.finish_request_id, ':') + 1) IS NOT ?4 THEN 'no'
                        WHEN coalesce(s.finish_request_hash, ?5) = ?5 THEN 'yes' ELSE 'reused' END) AS row
  FROM (SELECT * FROM run_shards WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3) s
  JOIN changed_runs r ON r.id = s.run_id;
