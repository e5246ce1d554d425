-- The environments of a project, newest first.
--
-- ?1 project   ?2 smaller ids than this   ?3 how many at most
-- Plan: INTEGER PRIMARY KEY, environments_by_project
-- Row, if there is such a project: the environments, as an array
SELECT (SELECT json_group_array(json_object('id', id, 'name', name, 'slug', slug,
                   'disabled', json(iif(disabled, 'true', 'false'))))
          FROM (SELECT * FROM environments
                 WHERE project_id = p.id AND id < ?2
                 ORDER BY id DESC LIMIT coalesce(?3, 100))) AS row
  FROM projects p
 WHERE p.id = ?1;
