-- Aborts the batch if the bucket is not to be used here: json() refuses what is no JSON. DB has every bucket of which it has no row,
-- another database those alone of which it says so.
--
-- ?1 bucket   ?2 the number that this database is bound by
-- Plan: (bucket=?)
-- Row: null
SELECT CASE WHEN coalesce((SELECT state FROM buckets WHERE bucket = ?1), iif(?2 > 0, '', 'here')) = 'here'
            THEN 'null' ELSE json('elsewhere') END AS row;
