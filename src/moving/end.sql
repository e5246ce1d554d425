-- A move is over: nothing of the bucket is left here.
--
-- ?1 bucket   ?2 progress   ?3 the progress that was read
-- Plan: (bucket=?)
UPDATE buckets SET frozen = 0, progress = ?2 WHERE bucket = ?1 AND state = 'moved' AND progress = ?3;
