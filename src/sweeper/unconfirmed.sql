-- Unconfirmed: closes the stop records of cancelled runs whose runner never confirmed and whose lease has run out.
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many runs at most
-- Plan: runs_unconfirmed, INTEGER PRIMARY KEY
-- Row, for each: the run's id
UPDATE runs
   SET stop_outcome = 'lost', stop_closed_at = max(?1, cancelled_at)
 WHERE id IN (SELECT id FROM runs INDEXED BY runs_unconfirmed
               WHERE stop_outcome = 'stopping' AND lease_expires_at <= ?1 - ?2
               ORDER BY lease_expires_at
               LIMIT coalesce(?3, 100))
RETURNING json(id) AS row;
