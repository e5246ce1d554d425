-- Gives a database its number, when it is used for the first time. One that has runs is DB.
--
-- ?1 the number that it is bound by   ?2 that number × 2^44 - 1
-- Plan: SEARCH runs, SCAN this_database (it has one row at most)
INSERT INTO this_database (only_row, number, last_run, last_environment, last_key)
SELECT 1, ?1, ?2, ?2, ?2
 WHERE ?1 > 0
   AND NOT EXISTS (SELECT 1 FROM this_database)
   AND (SELECT max(id) FROM runs) IS NULL;
