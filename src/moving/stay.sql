-- A move is called off: the database that has the bucket serves it again.
--
-- ?1 bucket   ?2 now (ms)   ?3 progress   ?4 the progress that was read
-- Plan: (bucket=?)
UPDATE buckets SET state = 'here', moved_to = NULL, frozen = 0, since = ?2, progress = ?3
 WHERE bucket = ?1 AND (state = 'here' OR state = 'leaving') AND progress = ?4;
