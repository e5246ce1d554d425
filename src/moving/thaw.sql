-- The bucket lives here from now on.
--
-- ?1 bucket   ?2 now (ms)   ?3 progress   ?4 the progress that was read
-- Plan: (bucket=?)
UPDATE buckets SET state = 'here', moved_from = NULL, frozen = 0, since = ?2, progress = ?3
 WHERE bucket = ?1 AND state = 'arriving' AND progress = ?4;
