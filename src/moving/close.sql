-- A database awaits a bucket no longer: a move was called off, and what had come is removed.
--
-- ?1 bucket   ?2 the database that has it   ?3 now (ms)   ?4 the progress that was read
-- Plan: (bucket=?)
UPDATE buckets SET state = 'moved', moved_to = ?2, moved_from = NULL, frozen = 0, since = ?3
 WHERE bucket = ?1 AND state = 'arriving' AND progress = ?4;
