-- How many runs were counted, and whether there are more.
--
-- Plan: (none)
-- Row: {counted, more}
SELECT json_object('counted', changes(), 'more', json(iif(EXISTS (SELECT 1 FROM closed_runs), 'true', 'false'))) AS row;
