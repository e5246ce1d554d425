-- The bucket has moved: this one row decides it. The trigger `buckets_move_away` keeps what its rows leave behind.
--
-- ?1 bucket   ?2 now (ms)   ?3 progress   ?4 the progress that was read
-- Plan: (bucket=?)
UPDATE buckets SET state = 'moved', since = ?2, progress = ?3 WHERE bucket = ?1 AND state = 'leaving' AND progress = ?4;
