-- Counts runs that have closed, the first that did, by environment and for the project as a whole, on the day (UTC) on which
-- they were over. In the same transaction, counted.sql takes them out of closed_runs: so each is counted once, whatever becomes
-- of the answer.
--
-- The median of an environment is that of the runs that passed in it in the last 28 days, as far as they are counted.
--
-- ?1 now (ms)   ?2 how many runs at most
-- Plan: INTEGER PRIMARY KEY, buckets_frozen, PRIMARY KEY (project_id=? AND environment_id=? AND day>?)
WITH closed AS MATERIALIZED (
    SELECT r.project_id, r.environment_id, coalesce(r.ended_at, r.cancelled_at) / 86400000 AS day,
           r.result, r.error_code, r.cancel_cause, r.stop_outcome,
           r.cancelled_at - coalesce(r.started_at, r.cancelled_at) AS elapsed,
           CASE WHEN r.result = 'passed' THEN
               (SELECT max(from_ms) FROM durations WHERE from_ms <= r.ended_at - r.started_at) END AS passed_ms,
           CASE WHEN r.stop_outcome <> 'lost' AND r.stop_closed_at IS NOT NULL THEN
               (SELECT max(from_ms) FROM durations WHERE from_ms <= r.stop_closed_at - r.cancelled_at) END AS stop_ms
      FROM (SELECT run_id FROM countable_runs ORDER BY position LIMIT coalesce(?2, 0)) c
     CROSS JOIN runs r ON r.id = c.run_id),
medians AS MATERIALIZED (
    SELECT e.project_id, e.environment_id, (
               SELECT from_ms * 9 / 8
                 FROM (SELECT CAST(key AS INTEGER) AS from_ms,
                              sum(sum(value)) OVER (ORDER BY CAST(key AS INTEGER)) AS running, sum(sum(value)) OVER () AS total
                         FROM daily_runs d, json_each(d.passed_ms)
                        WHERE d.project_id = e.project_id AND d.environment_id = e.environment_id AND d.day > ?1 / 86400000 - 28
                        GROUP BY key)
                WHERE running * 2 >= total ORDER BY from_ms LIMIT 1) AS median
      FROM (SELECT DISTINCT project_id, environment_id FROM closed
             WHERE cancel_cause = 'user' OR cancel_cause = 'superseded') e)
INSERT INTO daily_runs (project_id, environment_id, day, passed, failed, errors, by_user, by_stale, by_superseded, by_fail_fast,
                        never_started, graceful, terminated, killed, lost, saved_user, saved_superseded, passed_ms, stop_ms)
SELECT project_id, environment_id, day, passed, failed, errors, by_user, by_stale, by_superseded, by_fail_fast,
       never_started, graceful, terminated, killed, lost, saved_user, saved_superseded,
       (SELECT json_group_object(value, n) FROM (SELECT value, count(*) AS n FROM json_each(g.passed_ms) GROUP BY value)),
       (SELECT json_group_object(value, n) FROM (SELECT value, count(*) AS n FROM json_each(g.stop_ms) GROUP BY value))
  FROM (SELECT c.project_id, iif(w.whole, 0, c.environment_id) AS environment_id, c.day,
               count(*) FILTER (WHERE c.result = 'passed') AS passed, count(*) FILTER (WHERE c.result = 'failed') AS failed,
               count(c.error_code) AS errors,
               count(*) FILTER (WHERE c.cancel_cause = 'user') AS by_user,
               count(*) FILTER (WHERE c.cancel_cause = 'stale') AS by_stale,
               count(*) FILTER (WHERE c.cancel_cause = 'superseded') AS by_superseded,
               count(*) FILTER (WHERE c.cancel_cause = 'fail_fast') AS by_fail_fast,
               count(*) FILTER (WHERE c.stop_outcome = 'never_started') AS never_started,
               count(*) FILTER (WHERE c.stop_outcome = 'graceful') AS graceful,
               count(*) FILTER (WHERE c.stop_outcome = 'terminated') AS terminated,
               count(*) FILTER (WHERE c.stop_outcome = 'killed') AS killed,
               count(*) FILTER (WHERE c.stop_outcome = 'lost') AS lost,
               coalesce(sum(max(m.median - c.elapsed, 0)) FILTER (WHERE c.cancel_cause = 'user'), 0) AS saved_user,
               coalesce(sum(max(m.median - c.elapsed, 0)) FILTER (WHERE c.cancel_cause = 'superseded'), 0) AS saved_superseded,
               json_group_array(c.passed_ms) FILTER (WHERE c.passed_ms IS NOT NULL) AS passed_ms,
               json_group_array(c.stop_ms) FILTER (WHERE c.stop_ms IS NOT NULL) AS stop_ms
          FROM closed c
         CROSS JOIN (SELECT 0 AS whole UNION ALL SELECT 1) w
          LEFT JOIN medians m ON m.project_id = c.project_id AND m.environment_id = c.environment_id
         GROUP BY 1, 2, 3) g
 WHERE true
ON CONFLICT (project_id, environment_id, day) DO UPDATE SET
       passed = passed + excluded.passed, failed = failed + excluded.failed, errors = errors + excluded.errors,
       by_user = by_user + excluded.by_user, by_stale = by_stale + excluded.by_stale,
       by_superseded = by_superseded + excluded.by_superseded, by_fail_fast = by_fail_fast + excluded.by_fail_fast,
       never_started = never_started + excluded.never_started, graceful = graceful + excluded.graceful,
       terminated = terminated + excluded.terminated, killed = killed + excluded.killed, lost = lost + excluded.lost,
       saved_user = saved_user + excluded.saved_user, saved_superseded = saved_superseded + excluded.saved_superseded,
       passed_ms = (SELECT json_group_object(key, n)
                      FROM (SELECT key, sum(value) AS n
                              FROM (SELECT key, value FROM json_each(daily_runs.passed_ms) UNION ALL
                                    SELECT key, value FROM json_each(excluded.passed_ms)) GROUP BY key)),
       stop_ms = (SELECT json_group_object(key, n)
                    FROM (SELECT key, sum(value) AS n
                            FROM (SELECT key, value FROM json_each(daily_runs.stop_ms) UNION ALL
                                  SELECT key, value FROM json_each(excluded.stop_ms)) GROUP BY key));
