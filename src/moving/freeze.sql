-- Freezes a bucket: from now on nothing of it is read or written. One that has projects only moves to a greater number.
--
-- ?1 bucket   ?2 the database that it goes to   ?3 this one   ?4 now (ms)   ?5 progress   ?6 the progress that was read
-- Plan: (bucket=?), projects_by_bucket
UPDATE buckets SET state = 'leaving', moved_to = ?2, frozen = 1, since = ?4, progress = ?5
 WHERE bucket = ?1 AND state = 'here' AND progress = ?6
   AND (?2 > ?3 OR NOT EXISTS (SELECT 1 FROM projects WHERE bucket = ?1));
