-- What an archive keeps of its runs, in their order.
--
-- ?1 project   ?2 the first run   ?3 the last   ?4 whether the shards' rows go without their failed tests
-- Plan: runs_by_project, (run_id=?), INTEGER PRIMARY KEY
-- Row, for each line: {kind, run, row}, and of a run test_run, events and failures, as their routes show them
SELECT iif(?4 AND part = 2, json_set(line, '$.row.failures', NULL), line) AS row FROM archive_lines o WHERE project_id = ?1 AND run BETWEEN ?2 AND ?3 ORDER BY run, part, n;
