-- How many runs were counted, and whether there are more.
--
-- Plan: buckets_frozen
-- Row: {counted, more}
SELECT json_object('counted', changes(), 'more', json(iif(EXISTS (SELECT 1 FROM countable_runs), 'true', 'false'))) AS row;
