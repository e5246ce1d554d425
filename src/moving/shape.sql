-- What tables look like: their columns, without those that are generated, and the triggers that stand in the way of inserts and deletions, in the
-- order in which they were made. A trigger's text has ` INSERT ON ` or ` BEFORE DELETE ON ` in its head and nowhere else.
--
-- ?1 the tables (JSON array of names)
-- Plan: SCAN m (it has a few dozen tables and as many triggers)
-- Row, for each: {table, columns, inserts, deletes}; a trigger is [name, text]
SELECT json_object(
           'table', m.name,
           'columns', json((SELECT json_group_array(c.name)
                              FROM (SELECT name FROM pragma_table_xinfo(m.name) WHERE hidden = 0 ORDER BY cid) c)),
           'inserts', json((SELECT json_group_array(json_array(t.name, t.sql))
                         FROM (SELECT name, sql FROM sqlite_schema
                                WHERE type = 'trigger' AND tbl_name = m.name AND instr(sql, ' INSERT ON ') > 0 ORDER BY rowid) t)),
           'deletes', json((SELECT json_group_array(json_array(t.name, t.sql))
                         FROM (SELECT name, sql FROM sqlite_schema
                                WHERE type = 'trigger' AND tbl_name = m.name AND instr(sql, ' BEFORE DELETE ON ') > 0 ORDER BY rowid) t))) AS row
  FROM sqlite_schema m
 WHERE m.type = 'table' AND m.name IN (SELECT value FROM json_each(?1));
