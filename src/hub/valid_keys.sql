-- Those of the keys with open sockets that are still valid. A Durable Object has at most 32,768 sockets.
--
-- ?1 ids (JSON array)   ?2 now (ms)
-- Plan: INTEGER PRIMARY KEY
-- Row, for each: its id
SELECT k.id AS row
  FROM (SELECT value AS id FROM json_each(?1) LIMIT 32768) s
 CROSS JOIN keys k ON k.id = s.id
 WHERE k.valid_until > ?2;
