-- Projects, newest first, but for those that have moved to another database and are not removed here yet.
--
-- ?1 smaller ids than this   ?2 how many at most
-- Plan: INTEGER PRIMARY KEY, buckets_frozen
-- Row, for each: the project
SELECT json(p.project) AS row
  FROM shown_projects p
 WHERE p.id < ?1
   AND NOT EXISTS (SELECT 1 FROM buckets b INDEXED BY buckets_frozen
                    CROSS JOIN projects m ON m.bucket = b.bucket AND m.id = p.id
                    WHERE b.frozen = 1 AND b.state = 'moved')
 ORDER BY p.id DESC LIMIT coalesce(?2, 100);
