-- What the hub tells of the runs that a round of the tick has changed.
--
-- ?1 ids (JSON array)
-- Plan: INTEGER PRIMARY KEY
-- Row, for each: {project, runs}
SELECT c.news AS row
  FROM (SELECT DISTINCT value AS id FROM json_each(?1) LIMIT 500) s
 CROSS JOIN changed_runs c ON c.id = s.id;
