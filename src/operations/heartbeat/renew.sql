-- Renews a lease of which less than half is left, or writes down that more tests have failed, and with either how far the tests
-- are and which have failed; a heartbeat before that writes nothing. A lease that ran out is renewed too, as long as nothing has ended the run: after an outage the tests that went on
-- are believed. A runner that is stopping keeps its lease while it does, for a limited time, so that no stop record stays
-- open for ever.
--
-- ?1 run   ?2 shard   ?3 lease token   ?4 now (ms)   ?5 lease (ms)   ?6 how long a stop may take (ms)
-- ?7 counts (JSON) or NULL   ?8 how many of them failed, or 0   ?9 progress (JSON) or NULL   ?10 failures (JSON) or NULL
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
UPDATE run_shards
   SET lease_renewed_at = ?4, lease_expires_at = ?4 + ?5, counts = coalesce(?7, counts), failed = max(?8, failed),
       progress = coalesce(?9, progress), failures = coalesce(?10, failures)
 WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3 AND state = 'started'
   AND (lease_expires_at < ?4 + ?5 / 2 OR ?8 > failed)
   AND EXISTS (SELECT 1 FROM runs r WHERE r.id = ?1 AND (r.state = 'started' OR r.cancelled_at > ?4 - ?6));
