-- Changes a project, if that changes anything. Triggers write down what.
--
-- ?1 project   ?2 name   ?3 badges (0 or 1); each NULL to leave it   ?4 now (ms)
-- Plan: INTEGER PRIMARY KEY
UPDATE projects SET name = coalesce(?2, name), badges = coalesce(?3, badges), changed_at = ?4
 WHERE id = ?1 AND (name <> coalesce(?2, name) OR badges <> coalesce(?3, badges));
