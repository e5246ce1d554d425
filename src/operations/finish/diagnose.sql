-- Why a finish took or did not: the run as it is now. It decides nothing.
--
-- ?1 run   ?2 lease token   ?3 this write's id   ?4 this write's hash
-- Plan: INTEGER PRIMARY KEY
-- Row, if the lease is the run's: {run, cancel_reason, cancel_cause, stop_outcome, mine}; mine says whether this very request
--      finished it. Requests from before 0.2.0 have a key's id where others have `lease`.
SELECT json_object(
           'run', json_object('state', state, 'result', result, 'error_code', error_code, 'ended_at', ended_at,
                              'cancelled_at', cancelled_at, 'cancel_by', cancel_by),
           'cancel_reason', cancel_reason, 'cancel_cause', cancel_cause, 'stop_outcome', stop_outcome,
           'mine', CASE WHEN substr(finish_request_id, instr(finish_request_id, ':') + 1) IS NOT ?3 THEN 'no'
                        WHEN coalesce(finish_request_hash, ?4) = ?4 THEN 'yes' ELSE 'reused' END) AS row
  FROM runs
 WHERE id = ?1 AND lease_token = ?2;
