-- Projects, newest first.
--
-- ?1 smaller ids than this   ?2 how many at most
-- Plan: INTEGER PRIMARY KEY
-- Row, for each: the project
SELECT json(p.project) AS row
  FROM shown_projects p
 WHERE p.id < ?1
 ORDER BY p.id DESC LIMIT coalesce(?2, 100);
