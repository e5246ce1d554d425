-- Notes how far a move is, unless somebody else has gone on with it meanwhile.
--
-- ?1 bucket   ?2 state   ?3 progress   ?4 the progress that was read
-- Plan: (bucket=?)
UPDATE buckets SET progress = ?3 WHERE bucket = ?1 AND state = ?2 AND progress = ?4;
