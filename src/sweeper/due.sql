-- Whether a timeout has passed for any run, whether any waits to be counted, whether there are deliveries to come, and whether there are
-- bulk cancels to forget. When none has, which is nearly every minute, it reads a row or two for each run that is not over and each of
-- its shards, and one if all are over. Like every statement of the tick it leaves out projects that are being moved.
--
-- ?1 now (ms)   the timeouts (ms): ?2 unclaimed   ?3 lapsed   ?4 over-age   ?5 unconfirmed   ?6 of bulk cancels
-- Plan: buckets_frozen, runs_open, runs_by_held_group, runs_stopping, (run_id=?), bulk_cancels_by_age, deliveries_due
-- Row: {stale, closed, expired, deliveries}, each true or false
SELECT json_object('stale', json(iif(EXISTS (SELECT 1 FROM runs r INDEXED BY runs_open
                    WHERE open_state = 'queued' AND waiting_since <= ?1 - ?2
                      AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id)
                      AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.project_id = r.project_id AND o.held_group = r.concurrency_group))
        OR EXISTS (SELECT 1 FROM runs r INDEXED BY runs_open
                    WHERE open_state = 'started' AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id)
                      AND (started_at <= ?1 - ?4
                           OR (SELECT max(coalesce(ended_at, lease_expires_at)) FROM run_shards WHERE run_id = r.id)
                              <= ?1 - iif(open_shards > 0, ?3, ?2)))
        OR EXISTS (SELECT 1 FROM runs r INDEXED BY runs_stopping
                    CROSS JOIN run_shards s ON s.run_id = r.id
                    WHERE r.stop_outcome = 'stopping' AND s.state = 'started' AND s.lease_expires_at <= ?1 - ?5
                      AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id)),
           'true', 'false')),
       'closed', json(iif(EXISTS (SELECT 1 FROM countable_runs), 'true', 'false')),
       'expired', json(iif(EXISTS (SELECT 1 FROM bulk_cancels WHERE created_at < ?1 - ?6), 'true', 'false')),
       'deliveries', json(iif(EXISTS (SELECT 1 FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > 0), 'true', 'false'))) AS row;
