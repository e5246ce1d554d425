-- What the hub tells of a run that has changed, and an index for the runs that one took the place of: it writes a row for each of
-- them, and nothing else is written. No row changes.
--
-- Statements of earlier releases: all stay right.

-- What a run took the place of.
CREATE INDEX runs_by_successor ON runs (superseded_by) WHERE superseded_by IS NOT NULL;

CREATE VIEW listed_runs AS
SELECT r.*,
       json_set(json_object(
           'id', r.id, 'version', r.version, 'state', r.state, 'result', r.result, 'error_code', r.error_code,
           'environment', json_object('id', e.id, 'name', e.name, 'slug', e.slug),
           'test_run_branch', r.branch, 'build', json(r.build), 'metadata', json(r.metadata), 'tags', json(r.tags),
           'github_actor', r.github_actor, 'total_shards', r.total_shards, 'finished_shards', r.finished_shards,
           'counts', json(r.counts), 'created_by', r.created_by),
           '$.created_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.created_at / 1000.0, 'unixepoch'),
           '$.group', r.run_group, '$.attempt', r.attempt, '$.fail_fast', r.fail_fast,
           '$.started_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch'),
           '$.started_by', r.started_by,
           '$.ended_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_at / 1000.0, 'unixepoch'),
           '$.ended_by', r.ended_by,
           '$.cancel', json(CASE WHEN r.state = 'cancelled' THEN json_object(
               'reason', r.cancel_reason, 'cause', r.cancel_cause, 'by', r.cancel_by,
               'at', strftime('%Y-%m-%dT%H:%M:%fZ', r.cancelled_at / 1000.0, 'unixepoch')) END),
           '$.stop', json(CASE WHEN r.state = 'cancelled' THEN json_object(
               'outcome', r.stop_outcome,
               'confirmed_at', iif(r.stop_outcome = 'lost', NULL,
                   strftime('%Y-%m-%dT%H:%M:%fZ', r.stop_closed_at / 1000.0, 'unixepoch')),
               'duration_ms', iif(r.stop_outcome = 'lost', NULL, r.stop_closed_at - r.cancelled_at),
               'kill', json(CASE WHEN r.kill_at IS NOT NULL THEN json_object(
                   'by', r.kill_by, 'at', strftime('%Y-%m-%dT%H:%M:%fZ', r.kill_at / 1000.0, 'unixepoch')) END),
               'late_result_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.late_at / 1000.0, 'unixepoch')) END),
           '$.superseded_by', r.superseded_by,
           '$.protected', json(iif(r.protected, 'true', 'false'))) AS test_run,
       CASE WHEN r.stop_outcome = 'stopping' OR r.stop_outcome = 'lost' THEN json_object(
           'reason', r.cancel_reason, 'cause', r.cancel_cause, 'by', r.cancel_by,
           'at', strftime('%Y-%m-%dT%H:%M:%fZ', r.cancelled_at / 1000.0, 'unixepoch'),
           'lease_lost', json(iif(r.stop_outcome = 'lost', 'true', 'false')),
           'kill', json(iif(r.kill_at IS NULL, 'false', 'true'))) END AS stop_order
  FROM runs r
  JOIN environments e ON e.id = r.environment_id;

CREATE VIEW changed_runs AS
SELECT r.*,
       json_object('project', r.project_id, 'runs', json((
           SELECT json_group_array(json_object('id', t.id, 'version', t.version, 'run', json(t.test_run), 'stop', json(t.stop_order)))
             FROM (SELECT r.id, r.version, r.test_run, r.stop_order
                    UNION ALL
                   SELECT o.id, o.version, o.test_run, o.stop_order FROM listed_runs o
                    WHERE o.project_id = r.project_id AND o.active_group = r.concurrency_group AND o.id <> r.id
                    UNION ALL
                   SELECT o.id, o.version, o.test_run, o.stop_order FROM listed_runs o WHERE o.superseded_by = r.id AND o.active_group IS NULL) t))) AS news
  FROM listed_runs r;

UPDATE schema_version SET version = 7;
