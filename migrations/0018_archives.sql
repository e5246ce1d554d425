-- Retention: a project's old runs move to an archive, and only what an archive covers may be deleted. Writes one row for each
-- record of a bulk cancel (an index). No run is touched: a project's default is 90 days, and without a bucket nothing is deleted.
--
-- Statements of earlier releases: all stay right. None of them deletes a run.

-- For how many days a run that is over stays in the database; 0: for ever.
ALTER TABLE projects ADD COLUMN retention_days INTEGER NOT NULL DEFAULT 90 CHECK (retention_days BETWEEN 0 AND 3650);

-- What was archived: a row for each object in the bucket, with the oldest runs that the project had then. So a project's
-- archives follow one another, and between them no run is left.
CREATE TABLE archives (
    project_id  INTEGER NOT NULL,        -- the project
    last_run    INTEGER NOT NULL,        -- the newest of its runs
    first_run   INTEGER NOT NULL,        -- the oldest
    run_ids     TEXT    NOT NULL,        -- all of them, between commas: ",3,4,7,"
    runs        INTEGER NOT NULL,        -- how many they are
    events      INTEGER NOT NULL,        -- and their events
    shards      INTEGER NOT NULL,        -- and their shards
    archived_at INTEGER NOT NULL,        -- when

    -- Where they are now; all NULL if they were deleted and are nowhere (ARCHIVE = "none").
    object      TEXT,                    -- the object's key in the bucket
    sha256      TEXT CHECK (length(sha256) = 64), -- of the object
    bytes       INTEGER,                 -- its size
    members     TEXT CHECK (json_valid(members)), -- of what it is put together, of each: [first run, offset, length, …]
    CHECK ((object IS NULL) = (sha256 IS NULL) AND (object IS NULL) = (bytes IS NULL) AND (object IS NULL) = (members IS NULL)),
    PRIMARY KEY (project_id, last_run)
) STRICT, WITHOUT ROWID;

-- For their expiry.
CREATE INDEX bulk_cancels_by_age ON bulk_cancels (created_at);

-- An archive has the project's oldest runs, every one up to its last, and each is over, has stopped and is counted. The newest run
-- of all stays: the next one's id is one more than its.
CREATE TRIGGER archives_are_whole AFTER INSERT ON archives
BEGIN
    SELECT RAISE(ABORT, 'an archive has the oldest runs of its project')
     WHERE NEW.first_run IS NOT (SELECT id FROM runs WHERE project_id = NEW.project_id ORDER BY id LIMIT 1)
        OR EXISTS (SELECT 1 FROM archives WHERE project_id = NEW.project_id AND last_run >= NEW.first_run AND last_run <> NEW.last_run);
    SELECT RAISE(ABORT, 'an archive has every run of its range, over and stopped')
      FROM (SELECT count(*) AS runs, max(id) AS last_run, ',' || group_concat(id) || ',' AS run_ids,
                   max(open_state IS NOT NULL OR stop_outcome IS 'stopping') AS unfinished
              FROM (SELECT id, open_state, stop_outcome FROM runs INDEXED BY runs_by_project
                     WHERE project_id = NEW.project_id AND id BETWEEN NEW.first_run AND NEW.last_run ORDER BY id)) r
     WHERE r.runs <> NEW.runs OR r.last_run IS NOT NEW.last_run OR r.run_ids IS NOT NEW.run_ids OR r.unfinished;
    -- Where so many wait to be counted that it would take long to look, one of these may be among them.
    SELECT RAISE(ABORT, 'a run is counted before it is archived')
      FROM (SELECT count(*) AS waiting, max(instr(NEW.run_ids, ',' || run_id || ',')) AS found FROM (SELECT run_id FROM closed_runs LIMIT 1000))
     WHERE waiting = 1000 OR found > 0;
    SELECT RAISE(ABORT, 'the newest run stays') WHERE NEW.last_run >= (SELECT max(id) FROM runs);
END;
CREATE TRIGGER archives_stand BEFORE UPDATE ON archives
BEGIN
    SELECT RAISE(ABORT, 'an archive never changes');
END;
CREATE TRIGGER archives_are_kept BEFORE DELETE ON archives
BEGIN
    SELECT RAISE(ABORT, 'an archive is never deleted');
END;

-- The record is kept, in the database or in an archive. A run takes its events and shards with it.
DROP TRIGGER runs_are_kept;
CREATE TRIGGER runs_are_kept BEFORE DELETE ON runs
WHEN OLD.open_state IS NOT NULL OR OLD.stop_outcome IS 'stopping'
  OR NOT EXISTS (SELECT 1 FROM archives
                  WHERE project_id = OLD.project_id AND last_run >= OLD.id AND instr(run_ids, ',' || OLD.id || ',') > 0)
BEGIN
    SELECT RAISE(ABORT, 'a run is deleted once it is archived');
END;
CREATE TRIGGER runs_leave AFTER DELETE ON runs
BEGIN
    DELETE FROM run_events WHERE run_id = OLD.id;
    DELETE FROM run_shards WHERE run_id = OLD.id;
    DELETE FROM check_runs WHERE run_id = OLD.id;
END;
DROP TRIGGER run_shards_are_kept;
CREATE TRIGGER run_shards_are_kept BEFORE DELETE ON run_shards
WHEN EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id)
BEGIN
    SELECT RAISE(ABORT, 'a shard is deleted with its run');
END;
DROP TRIGGER run_events_are_kept;
CREATE TRIGGER run_events_are_kept BEFORE DELETE ON run_events
WHEN EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id)
BEGIN
    SELECT RAISE(ABORT, 'an event is deleted with its run');
END;

-- A change of the retention is an event, too.
DROP TRIGGER projects_changed;
CREATE TRIGGER projects_changed AFTER UPDATE OF name, repo_name, badges, stop_on_close, retention_days, concurrency_scope, concurrency_behaviour ON projects
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT iif(NEW.changed_at IS NOT OLD.changed_at, NEW.changed_at, unixepoch() * 1000), c.what, NEW.id, NEW.slug, c.detail
      FROM (SELECT 'project_renamed' AS what, OLD.name || ' → ' || NEW.name AS detail WHERE NEW.name <> OLD.name
            UNION ALL
            SELECT 'repository_changed', coalesce(OLD.repo_name, 'none') || ' → ' || NEW.repo_name WHERE NEW.repo_name IS NOT OLD.repo_name
            UNION ALL
            SELECT iif(NEW.badges, 'badges_turned_on', 'badges_turned_off'), NULL WHERE NEW.badges <> OLD.badges
            UNION ALL
            SELECT iif(NEW.stop_on_close, 'stop_on_close_turned_on', 'stop_on_close_turned_off'), NULL WHERE NEW.stop_on_close <> OLD.stop_on_close
            UNION ALL
            SELECT 'limit_changed', NEW.concurrency_scope || ', ' || NEW.concurrency_behaviour
             WHERE NEW.concurrency_scope <> OLD.concurrency_scope OR NEW.concurrency_behaviour <> OLD.concurrency_behaviour) c;
    -- D1 takes five terms of a UNION at most.
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT iif(NEW.changed_at IS NOT OLD.changed_at, NEW.changed_at, unixepoch() * 1000), 'retention_changed', NEW.id, NEW.slug,
           OLD.retention_days || ' → ' || NEW.retention_days || ' days'
     WHERE NEW.retention_days <> OLD.retention_days;
END;

-- A run, whole: what `show` answers with, and what an archive keeps of it beside its row. took_the_place_of are the newest runs
-- that it superseded and that are not archived.
CREATE VIEW shown_runs AS
SELECT r.*,
       json_set(r.test_run,
           '$.shards', json((SELECT json_group_array(json_object(
                'shard', s.shard, 'state', s.state, 'result', s.result, 'error_code', s.error_code,
                'counts', json(s.counts), 'progress', json(s.progress), 'runner', s.runner,
                'started_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.started_at / 1000.0, 'unixepoch'), 'started_by', s.started_by,
                'lease', json(CASE WHEN s.state = 'started' THEN json_object(
                    'renewed_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.lease_renewed_at / 1000.0, 'unixepoch'),
                    'expires_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.lease_expires_at / 1000.0, 'unixepoch')) END),
                'ended_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.ended_at / 1000.0, 'unixepoch'),
                'stop', json(CASE WHEN s.state = 'cancelled' OR (s.state = 'started' AND r.state = 'cancelled') THEN json_object(
                    'outcome', coalesce(s.stop_outcome, 'stopping'),
                    'confirmed_at', iif(s.stop_outcome = 'lost', NULL,
                        strftime('%Y-%m-%dT%H:%M:%fZ', s.stop_closed_at / 1000.0, 'unixepoch'))) END),
                'late_result', json(CASE WHEN s.late_result IS NOT NULL THEN json_set(s.late_result, '$.at',
                    strftime('%Y-%m-%dT%H:%M:%fZ', (s.late_result ->> 'at') / 1000.0, 'unixepoch')) END),
                'carried', json(iif(s.carried, 'true', 'false'))))
              FROM (SELECT * FROM run_shards WHERE run_id = r.id ORDER BY shard) s)),
           '$.took_the_place_of', json((SELECT json_group_array(l.id)
              FROM (SELECT id FROM runs WHERE superseded_by = r.id ORDER BY id DESC LIMIT 20) l))) AS shown
  FROM listed_runs r;

-- How many bytes a run has in the archive, by an estimate that is too high rather than too low.
CREATE VIEW run_sizes AS
SELECT r.id,
       4000 + 2 * octet_length(r.tags) + 2 * coalesce(octet_length(r.build), 0) + 2 * coalesce(octet_length(r.metadata), 0)
         + 4 * coalesce(octet_length(r.cancel_reason), 0)
         + (SELECT coalesce(sum(1500 + 2 * coalesce(octet_length(s.failures), 0)), 0) FROM run_shards s WHERE s.run_id = r.id) AS size
  FROM runs r;

-- What an archive keeps of runs, line by line: each run's row, with what the API shows of it (the run, its events, its failed tests); then the rows of its events and of its
-- shards. The columns of a row are the table's, the values as they are stored.
CREATE VIEW archive_lines AS
SELECT r.project_id, r.id AS run, 0 AS part, 0 AS n,
       json_object('kind', 'run', 'run', r.id, 'row',
           json_set(json_set(json_set(json_object('id', r.id, 'project_id', r.project_id, 'environment_id',
           r.environment_id, 'version', r.version, 'state', r.state, 'result', r.result, 'error_code', r.error_code,
           'request_id', r.request_id, 'request_hash', r.request_hash, 'created_at', r.created_at, 'created_by',
           r.created_by, 'waiting_since', r.waiting_since, 'branch', r.branch, 'build', r.build), '$.metadata',
           r.metadata, '$.tags', r.tags, '$.github_actor', r.github_actor, '$.total_shards', r.total_shards,
           '$.fail_fast', r.fail_fast, '$.run_group', r.run_group, '$.attempt', r.attempt, '$.concurrency_group',
           r.concurrency_group, '$.protected', r.protected, '$.open_shards', r.open_shards, '$.finished_shards',
           r.finished_shards, '$.failed_tests', r.failed_tests, '$.started_at', r.started_at, '$.started_by',
           r.started_by), '$.ended_at', r.ended_at, '$.ended_by', r.ended_by, '$.counts', r.counts, '$.cancelled_at',
           r.cancelled_at, '$.cancel_reason', r.cancel_reason, '$.cancel_cause', r.cancel_cause, '$.cancel_by',
           r.cancel_by, '$.cancel_request_id', r.cancel_request_id, '$.cancel_request_hash', r.cancel_request_hash,
           '$.superseded_by', r.superseded_by, '$.stop_outcome', r.stop_outcome, '$.stop_closed_at', r.stop_closed_at,
           '$.kill_at', r.kill_at, '$.kill_by', r.kill_by), '$.kill_request_id', r.kill_request_id, '$.late_at',
           r.late_at),
           'test_run', json(r.shown),
           'events', json((SELECT json_group_array(json_object(
                       'at', strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch'),
                       'from', from_state, 'to', to_state, 'cause', cause, 'by', by, 'reason', reason))
              FROM (SELECT * FROM run_events WHERE run_id = r.id ORDER BY step))),
           'failures', json((SELECT json_group_array(json_object(
                       'shard', shard, 'title', failure ->> 'title', 'file', failure ->> 'file', 'line', failure ->> 'line',
                       'message', failure ->> 'message'))
              FROM (SELECT s.shard, f.value AS failure FROM run_shards s JOIN json_each(s.failures) f
                     WHERE s.run_id = r.id ORDER BY s.shard LIMIT 50)))) AS line
  FROM shown_runs r
 UNION ALL
SELECT r.project_id, r.id, 1, e.step,
       json_object('kind', 'event', 'run', r.id, 'row',
           json_object('run_id', e.run_id, 'step', e.step, 'at', e.at, 'from_state', e.from_state, 'to_state',
           e.to_state, 'cause', e.cause, 'by', e.by, 'reason', e.reason))
  FROM runs r
 CROSS JOIN run_events e ON e.run_id = r.id
 UNION ALL
SELECT r.project_id, r.id, 2, s.shard,
       json_object('kind', 'shard', 'run', r.id, 'row',
           json_set(json_object('run_id', s.run_id, 'shard', s.shard, 'state', s.state, 'result', s.result,
           'error_code', s.error_code, 'counts', s.counts, 'failed', s.failed, 'runner', s.runner, 'lease_token',
           s.lease_token, 'lease_renewed_at', s.lease_renewed_at, 'lease_expires_at', s.lease_expires_at,
           'started_at', s.started_at, 'started_by', s.started_by, 'claim_request_id', s.claim_request_id),
           '$.claim_request_hash', s.claim_request_hash, '$.attempt', s.attempt, '$.ended_at', s.ended_at,
           '$.finish_request_id', s.finish_request_id, '$.finish_request_hash', s.finish_request_hash,
           '$.stop_outcome', s.stop_outcome, '$.stop_closed_at', s.stop_closed_at, '$.late_result', s.late_result,
           '$.carried', s.carried, '$.progress', s.progress, '$.failures', s.failures))
  FROM runs r
 CROSS JOIN run_shards s ON s.run_id = r.id;

-- A project as the admin routes have it: the JSON of the contract's Project. What goes to GitHub is on as long as its row of
-- webhooks is.
DROP VIEW shown_projects;
CREATE VIEW shown_projects AS
SELECT p.*,
       json_object(
           'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
           'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
           'badges', json(iif(p.badges, 'true', 'false')), 'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')),
           'retention_days', p.retention_days,
           'check_runs', json(iif(c.id IS NULL OR c.disabled_at IS NOT NULL, 'false', 'true')),
           'cancel_ci', json(iif(i.id IS NULL OR i.disabled_at IS NOT NULL, 'false', 'true')),
           'github_failures', json((SELECT json_group_array(json_set(f.last_failure, '$.setting', f.github,
                   '$.since', strftime('%Y-%m-%dT%H:%M:%fZ', f.failing_since / 1000.0, 'unixepoch'),
                   '$.turned_off_at', strftime('%Y-%m-%dT%H:%M:%fZ', f.disabled_at / 1000.0, 'unixepoch')))
              FROM webhooks f
             WHERE (f.id = c.id OR f.id = i.id) AND f.failing_since IS NOT NULL))) AS project
  FROM projects p
  LEFT JOIN webhooks c ON c.request_id = 'github:check_runs:' || p.id AND c.deleted_at IS NULL
  LEFT JOIN webhooks i ON i.request_id = 'github:cancel_ci:' || p.id AND i.deleted_at IS NULL;

UPDATE schema_version SET version = 18;
