-- Aborts the batch if a table's triggers are not those that were read (shape.sql): a migration came in between. json() refuses what
-- is no JSON.
--
-- ?1 table   ?2 ' INSERT ON ' or ' BEFORE DELETE ON '   ?3 the triggers, as they were read
-- Plan: SCAN m (it has a few dozen tables and as many triggers)
-- Row: null
SELECT CASE WHEN ?3 <> (SELECT json_group_array(json_array(t.name, t.sql))
                         FROM (SELECT m.name, m.sql FROM sqlite_schema m
                                WHERE m.type = 'trigger' AND m.tbl_name = ?1 AND instr(m.sql, ?2) > 0 ORDER BY m.rowid) t)
            THEN json('changed') ELSE 'null' END AS row;
