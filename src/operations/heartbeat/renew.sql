-- Renews a lease of which less than half is left; a heartbeat before that writes nothing. A lease that ran out is renewed
-- too, as long as nothing has ended the run: after an outage the tests that went on are believed. A runner that is
-- stopping keeps its lease while it does, for a limited time, so that no stop record stays open for ever.
--
-- ?1 run   ?2 lease token   ?3 now (ms)   ?4 lease (ms)   ?5 how long a stop may take (ms)
-- Plan: INTEGER PRIMARY KEY
UPDATE runs
   SET lease_renewed_at = ?3, lease_expires_at = ?3 + ?4
 WHERE id = ?1 AND lease_token = ?2 AND lease_expires_at < ?3 + ?4 / 2
   AND (state = 'started' OR (stop_outcome = 'stopping' AND cancelled_at > ?3 - ?5));
