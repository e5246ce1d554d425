-- Whether a timeout has passed for any run. When none has, which is nearly every minute, it reads a row for each run that is
-- not over, and one if all are.
--
-- ?1 now (ms)   the timeouts (ms): ?2 unclaimed   ?3 lapsed   ?4 over-age   ?5 unconfirmed
-- Plan: runs_open, runs_by_held_group, runs_unconfirmed
-- Row: true or false
SELECT iif(EXISTS (SELECT 1 FROM runs r INDEXED BY runs_open
                    WHERE open_state = 'queued' AND waiting_since <= ?1 - ?2
                      AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.project_id = r.project_id AND o.held_group = r.concurrency_group))
        OR EXISTS (SELECT 1 FROM runs INDEXED BY runs_open
                    WHERE open_state = 'started' AND (lease_expires_at <= ?1 - ?3 OR started_at <= ?1 - ?4))
        OR EXISTS (SELECT 1 FROM runs INDEXED BY runs_unconfirmed
                    WHERE stop_outcome = 'stopping' AND lease_expires_at <= ?1 - ?5), 'true', 'false') AS row;
