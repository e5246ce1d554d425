-- Which rows of bulk_cancels come next: those of the project's keys. A key without one is there, too. Those of GitHub's deliveries are no
-- project's, and stay.
--
-- ?1 project   ?2 this key or after   ?3 of this key after this request   ?4 how many at most
-- Plan: keys_by_project, (request_id>? AND request_id<?)
SELECT s.id AS a, coalesce(t.request_id, '') AS b
  FROM (SELECT id FROM keys WHERE project_id = ?1 AND id >= ?2 ORDER BY id LIMIT coalesce(?4, 0) + 1) s
  LEFT JOIN bulk_cancels t ON t.request_id > iif(s.id = ?2, max(?3, s.id || ':'), s.id || ':') AND t.request_id < s.id || ';'
 WHERE s.id > ?2 OR t.request_id IS NOT NULL
 ORDER BY s.id, t.request_id LIMIT coalesce(?4, 0);
