-- The bucket of the project that something is of.
--
-- ?1 its id   ?2 what it is: environments, keys, webhooks or deliveries: the table
-- Plan: INTEGER PRIMARY KEY
-- Row, if this database has it: the bucket
SELECT json_quote(p.bucket) AS row
  FROM projects p
 WHERE p.id = CASE ?2
           WHEN 'environments' THEN (SELECT project_id FROM environments WHERE id = ?1)
           WHEN 'keys' THEN (SELECT project_id FROM keys WHERE id = ?1)
           WHEN 'webhooks' THEN (SELECT project_id FROM webhooks WHERE id = ?1)
           WHEN 'deliveries' THEN (SELECT w.project_id FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?1)
       END;
