-- Takes out of the queue what count.sql has counted, in the same transaction.
--
-- ?1 how many runs at most
-- Plan: INTEGER PRIMARY KEY
DELETE FROM closed_runs
 WHERE position <= (SELECT max(position) FROM (SELECT position FROM closed_runs ORDER BY position LIMIT coalesce(?1, 0)));
