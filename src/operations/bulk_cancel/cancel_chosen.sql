-- The decision, for each of the chosen runs: cancels it if it is not over, as cancel/cancel.sql does. It acts on a choice
-- that the statement before it has just made, and on no other (changes(): see cancel/diagnose.sql; were it to give 0, nothing
-- would be cancelled, and the answer would be 500 and not 200): choice and cancel are one transaction, so an older choice was
-- carried out, and a key that may not reads nothing here. The + makes SQLite look up each run by its id, and not in an index.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 reason or NULL
-- Plan: (hash=?), (request_id=?), INTEGER PRIMARY KEY
UPDATE runs
   SET version             = version + 1,
       state               = 'cancelled',
       cancelled_at        = max(?2, waiting_since, coalesce(started_at, 0)),
       cancel_reason       = ?5,
       cancel_cause        = 'user',
       cancel_by           = k.user,
       cancel_request_id   = k.id || ':' || ?3,
       cancel_request_hash = ?4,
       stop_outcome        = iif(open_shards = 0, 'never_started', 'stopping')
  FROM keys k, bulk_cancels b, json_each(b.run_ids) j
 WHERE k.hash = iif(changes() = 1, ?1, NULL) AND k.can_cancel = 1 AND k.valid_until > ?2
   AND b.request_id = k.id || ':' || ?3
   AND runs.id = j.value AND +runs.project_id = k.project_id
   AND +runs.open_state IS NOT NULL;
