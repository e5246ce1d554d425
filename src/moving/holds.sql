-- Whether a bucket's row is still as this step of a move knows it. What the batch wrote before, it wrote under the same condition.
--
-- ?1 bucket   ?2 state   ?3 progress
-- Plan: (bucket=?)
-- Row: true or false
SELECT iif(EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3), 'true', 'false') AS row;
