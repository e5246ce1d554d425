INSERT INTO projects (slug, name, repo_name, request_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (slug) DO NOTHING
