-- Aborts the batch if the schema is older than the Worker needs, or this is another database than the one that its number is of, so
-- that nothing is written to it: json() refuses what is no JSON.
--
-- ?1 the version that the Worker needs   ?2 the number that this database is bound by
-- Plan: SCAN schema_version, SCAN this_database (it has one row at most)
-- Row: {version, moves}; moves: whether buckets have moved away from DB, or this is another database
SELECT json_object('version', CASE
           WHEN version < ?1 THEN json('too old')
           WHEN coalesce((SELECT number FROM this_database), 0) <> ?2 THEN json('another')
           ELSE version END,
           'moves', json(iif(EXISTS (SELECT 1 FROM this_database), 'true', 'false'))) AS row
  FROM schema_version;
