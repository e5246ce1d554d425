-- One project.
--
-- ?1 project
-- Plan: INTEGER PRIMARY KEY
-- Row: the project
SELECT json(p.project) AS row
  FROM shown_projects p
 WHERE p.id = ?1;
