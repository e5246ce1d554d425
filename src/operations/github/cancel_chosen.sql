-- The decision, for each of the chosen runs: cancels it if it is not over, as cancel/cancel.sql does. It acts on a choice that
-- the statement before it has just made, and on no other, as bulk_cancel/cancel_chosen.sql does.
--
-- ?1 delivery   ?2 now (ms)   ?3 reason
-- Plan: (request_id=?), INTEGER PRIMARY KEY
UPDATE runs
   SET version           = version + 1,
       state             = 'cancelled',
       cancelled_at      = max(?2, waiting_since, coalesce(started_at, 0)),
       cancel_reason     = ?3,
       cancel_cause      = 'user',
       cancel_by         = b.created_by,
       cancel_request_id = b.request_id,
       stop_outcome      = iif(open_shards = 0, 'never_started', 'stopping')
  FROM bulk_cancels b, json_each(b.run_ids) j
 WHERE b.request_id = iif(changes() = 1, 'github:' || ?1, NULL)
   AND runs.id = j.value
   AND +runs.open_state IS NOT NULL;
