-- Projects, newest first, but for those that have moved to another database and are not removed here yet.
--
-- ?1 smaller ids than this   ?2 how many at most
-- Plan: INTEGER PRIMARY KEY, buckets_frozen
-- Row, for each: the project
SELECT json(p.project) AS row
  FROM shown_projects p
 WHERE p.id < ?1
   AND NOT EXISTS (SELECT 1 FROM frozen_projects f WHERE f.project_id = p.id AND f.state = 'moved')
 ORDER BY p.id DESC LIMIT coalesce(?2, 100);
