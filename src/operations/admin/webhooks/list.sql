-- The webhooks of a project, newest first: ten at most.
--
-- ?1 project
-- Plan: INTEGER PRIMARY KEY, webhooks_by_project
-- Row, if there is such a project: {id, item}: the webhooks, as an array
SELECT json_object('id', p.id, 'item', json((SELECT json_group_array(json(webhook))
          FROM (SELECT w.webhook FROM shown_webhooks w
                 WHERE w.project_id = p.id AND w.deleted_at IS NULL AND w.github IS NULL
                 ORDER BY w.id DESC LIMIT 10)))) AS row
  FROM projects p
 WHERE p.id = ?1;
