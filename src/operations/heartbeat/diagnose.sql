-- What a heartbeat answers: the lease, and the order to stop. It decides nothing. (changes(): see cancel/diagnose.sql.)
--
-- ?1 run   ?2 lease token
-- Plan: INTEGER PRIMARY KEY
-- Row, if the lease is the run's: its state, lease and cancel, and whether the lease was just renewed
SELECT json_object('renewed', json(iif(changes() = 1, 'true', 'false')), 'state', state, 'lease_expires_at', lease_expires_at, 'stop_outcome', stop_outcome,
                   'cancelled_at', cancelled_at, 'cancel_reason', cancel_reason, 'cancel_cause', cancel_cause,
                   'cancel_by', cancel_by) AS row
  FROM runs
 WHERE id = ?1 AND lease_token = ?2;
