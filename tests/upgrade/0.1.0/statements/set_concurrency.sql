UPDATE projects SET concurrency_scope = ?2, concurrency_behaviour = ?3 WHERE id = ?1
