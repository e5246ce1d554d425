-- Notes that a key was let in on this day, once a day.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 the day
-- Plan: (hash=?)
UPDATE keys SET last_used_on = ?3 WHERE hash = ?1 AND valid_until > ?2 AND coalesce(last_used_on, 0) < ?3;
