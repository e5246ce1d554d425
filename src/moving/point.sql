-- A database that had the bucket once says where it is now.
--
-- ?1 bucket   ?2 the database that has it
-- Plan: (bucket=?)
UPDATE buckets SET moved_to = ?2 WHERE bucket = ?1 AND state = 'moved' AND frozen = 0;
