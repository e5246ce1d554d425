-- Changes an environment, if that changes anything. Triggers write down what.
--
-- ?1 environment   ?2 name   ?3 disabled (0 or 1); each NULL to leave it   ?4 now (ms)
-- Plan: INTEGER PRIMARY KEY
UPDATE environments SET name = coalesce(?2, name), disabled = coalesce(?3, disabled), changed_at = ?4
 WHERE id = ?1 AND (name <> coalesce(?2, name) OR disabled <> coalesce(?3, disabled));
