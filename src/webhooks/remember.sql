-- Remembers the check runs that GitHub has made, of runs that are neither archived nor being moved. With record.sql, so that what is taken next knows them.
--
-- ?1 the check runs (JSON array of {run, id, repo})
-- Plan: json_each, INTEGER PRIMARY KEY, buckets_frozen
INSERT INTO check_runs (run_id, check_run_id, repo_name)
SELECT value ->> 'run', value ->> 'id', value ->> 'repo' FROM (SELECT value FROM json_each(?1) LIMIT 100)
 WHERE EXISTS (SELECT 1 FROM runs WHERE id = value ->> 'run' AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = runs.project_id))
ON CONFLICT (run_id) DO UPDATE SET check_run_id = excluded.check_run_id, repo_name = excluded.repo_name;
