-- A database awaits a bucket, and lets this attempt write it. An attempt that is older than the last one that was here gets nothing.
--
-- ?1 bucket   ?2 the database that it comes from   ?3 now (ms)   ?4 progress   ?5 the attempt's number
-- Plan: (none)
INSERT INTO buckets (bucket, state, moved_from, since, progress, frozen)
SELECT ?1, 'arriving', ?2, ?3, ?4, 1
 WHERE ?1 IS NOT NULL -- so that a console, which binds nothing, begins nothing
ON CONFLICT (bucket) DO UPDATE SET state = 'arriving', moved_from = excluded.moved_from, moved_to = NULL, since = excluded.since,
       progress = excluded.progress, frozen = 1
 WHERE (buckets.state = 'arriving' OR (buckets.state = 'moved' AND buckets.frozen = 0))
   AND coalesce(buckets.progress ->> '$.epoch', 0) < ?5;
