-- How many runs delete.sql has just deleted.
--
-- Plan: (none)
-- Row: how many
SELECT json(changes()) AS row;
