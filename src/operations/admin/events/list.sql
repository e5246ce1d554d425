-- What was changed behind the admin token, newest first, but for what is of projects that have moved to another database and are not
-- removed here yet. In a database other than DB, the first row only makes the ids of the others come after it.
--
-- ?1 smaller ids than this   ?2 how many at most
-- Plan: INTEGER PRIMARY KEY, buckets_frozen
-- Row, for each: the event
SELECT json_object('id', v.id, 'at', strftime('%Y-%m-%dT%H:%M:%fZ', v.at / 1000.0, 'unixepoch'), 'what', v.what,
                   'project_id', v.project_id, 'subject', v.subject, 'detail', v.detail) AS row
  FROM admin_events v
 WHERE v.id < ?1 AND (v.project_id > 0 OR v.what = 'bucket_moved')
   AND NOT EXISTS (SELECT 1 FROM frozen_projects f WHERE f.project_id = v.project_id AND f.state = 'moved')
 ORDER BY v.id DESC LIMIT coalesce(?2, 100);
