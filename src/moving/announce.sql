-- A move begins. So far the database that has the bucket goes on serving it.
--
-- ?1 bucket   ?2 now (ms)   ?3 progress   ?4 the progress that was read, or NULL
-- Plan: (none)
INSERT INTO buckets (bucket, state, since, progress, frozen)
SELECT ?1, 'here', ?2, ?3, 0
 WHERE ?1 IS NOT NULL -- so that a console, which binds nothing, begins nothing
ON CONFLICT (bucket) DO UPDATE SET since = excluded.since, progress = excluded.progress
 WHERE buckets.state = 'here' AND buckets.progress IS ?4;
