-- Sets a project's concurrency limit, for runs that are registered from now on.
--
-- ?1 project   ?2 scope   ?3 behaviour   ?4 now (ms)
-- Plan: INTEGER PRIMARY KEY
UPDATE projects SET concurrency_scope = ?2, concurrency_behaviour = ?3, changed_at = ?4 WHERE id = ?1;
