-- What a database knows of itself and of a bucket, to find out why a batch was refused.
--
-- ?1 bucket, or NULL
-- Plan: (bucket=?), SEARCH runs, SCAN this_database (it has one row at most)
-- Row: {number, state, moved_to}; number is null where it was never used, state where it knows nothing of the bucket
SELECT json_object(
           'number', coalesce((SELECT number FROM this_database), iif((SELECT max(id) FROM runs) IS NULL, NULL, 0)),
           'state', b.state, 'moved_to', b.moved_to) AS row
  FROM (SELECT 1) one
  LEFT JOIN buckets b ON b.bucket = ?1;
