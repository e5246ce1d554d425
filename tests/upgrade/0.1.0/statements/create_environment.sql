INSERT INTO environments (project_id, slug, name, request_id, created_at) SELECT id, ?2, ?3, ?4, ?5 FROM projects WHERE id = ?1 ON CONFLICT (project_id, slug) DO NOTHING
