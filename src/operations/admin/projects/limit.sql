-- Sets a project's concurrency limit, for runs that are registered from now on.
--
-- ?1 project   ?2 scope   ?3 behaviour
-- Plan: INTEGER PRIMARY KEY
UPDATE projects SET concurrency_scope = ?2, concurrency_behaviour = ?3 WHERE id = ?1;
