-- Runs get shards: the lease moves from the run to its shards, for every run, and the cancel still decides on the run's row.
-- This is the one rebuild of `runs` (with `run_events`, which refers to it): the values that a column takes are said by
-- triggers from here on, so that a new one needs no rebuild again, and foreign keys, which a trigger has checked already, go.
-- No run and no event is lost. Writes about 13 rows for each run, so a database of 7,000 runs takes a free day's worth.
--
-- A run that is not over has one shard from here on, whatever its `total_shards` said: one runner claimed all of it.
--
-- Statements of 0.1.0: those that name a lease, a run's `slot` or an index that has gone fail (cancel, claim, heartbeat, finish,
-- register, show, lists, bulk cancels, the sweeper); all others stay right.

DROP TRIGGER runs_registered;
DROP TRIGGER runs_registration_stands;
DROP TRIGGER runs_over_is_over;
DROP TRIGGER runs_go_forward;
DROP TRIGGER runs_one_holder;
DROP TRIGGER runs_lease_ends;
DROP TRIGGER runs_stop_record_closes_once;
DROP TRIGGER runs_are_kept;
DROP TRIGGER run_events_are_kept;
DROP TRIGGER run_events_stand;
DROP TRIGGER run_events_are_true;
DROP TRIGGER runs_changed_state;
DROP TRIGGER runs_supersede;
DROP TRIGGER runs_promote;

DROP INDEX runs_by_request;
DROP INDEX runs_by_project;
DROP INDEX runs_by_branch;
DROP INDEX runs_by_environment;
DROP INDEX runs_by_result;
DROP INDEX runs_open;
DROP INDEX runs_unconfirmed;
DROP INDEX runs_by_active_group;
DROP INDEX runs_by_held_group;

ALTER TABLE run_events RENAME TO old_run_events;
ALTER TABLE runs RENAME TO old_runs;

CREATE TABLE runs (
    id                INTEGER PRIMARY KEY,
    project_id        INTEGER NOT NULL,
    environment_id    INTEGER NOT NULL,
    version           INTEGER NOT NULL DEFAULT 1,
    state             TEXT    NOT NULL,
    result            TEXT,
    error_code        TEXT,
    request_id        TEXT    NOT NULL,
    request_hash      TEXT,
    created_at        INTEGER NOT NULL,
    created_by        TEXT    NOT NULL,
    waiting_since     INTEGER NOT NULL,
    branch            TEXT,
    build             TEXT    CHECK (build IS NULL OR json_valid(build)),
    metadata          TEXT    CHECK (metadata IS NULL OR json_valid(metadata)),
    tags              TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags)),
    github_actor      TEXT,
    total_shards      INTEGER NOT NULL DEFAULT 1 CHECK (total_shards >= 1),
    fail_fast         INTEGER CHECK (fail_fast >= 1),
    run_group         TEXT,
    attempt           INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    concurrency_group TEXT,
    protected         INTEGER NOT NULL DEFAULT 0 CHECK (protected = 0 OR protected = 1),
    open_shards       INTEGER NOT NULL DEFAULT 0 CHECK (open_shards >= 0),
    finished_shards   INTEGER NOT NULL DEFAULT 0 CHECK (finished_shards >= 0),
    failed_tests      INTEGER NOT NULL DEFAULT 0 CHECK (failed_tests >= 0),
    started_at        INTEGER,
    started_by        TEXT,
    ended_at          INTEGER,
    ended_by          TEXT,
    counts            TEXT    CHECK (counts IS NULL OR json_valid(counts)),
    cancelled_at      INTEGER,
    cancel_reason     TEXT,
    cancel_cause      TEXT,
    cancel_by         TEXT,
    cancel_request_id TEXT,
    cancel_request_hash TEXT,
    superseded_by     INTEGER,
    stop_outcome      TEXT,
    stop_closed_at    INTEGER,
    kill_at           INTEGER,
    kill_by           TEXT,
    kill_request_id   TEXT,
    late_at           INTEGER,
    open_state        TEXT
        GENERATED ALWAYS AS (CASE state WHEN 'pending' THEN state WHEN 'queued' THEN state WHEN 'started' THEN state END) VIRTUAL,
    active_group      TEXT
        GENERATED ALWAYS AS (CASE WHEN open_state IS NOT NULL OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL,
    held_group        TEXT
        GENERATED ALWAYS AS (CASE WHEN state = 'started' OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL,
    CHECK ((state = 'ended') = (result IS NOT NULL)),
    CHECK ((state = 'error') = (error_code IS NOT NULL)),
    CHECK ((state = 'ended' OR state = 'error') = (ended_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CHECK (ended_at IS NULL OR finished_shards = total_shards),
    CHECK (counts IS NULL OR ended_at IS NOT NULL),
    CHECK (open_shards + finished_shards <= total_shards),
    CHECK (open_shards = 0 OR state = 'started' OR stop_outcome IS 'stopping'),
    CHECK ((state <> 'pending' AND state <> 'queued') OR started_at IS NULL),
    CHECK ((state <> 'started' AND state <> 'ended' AND state <> 'error') OR started_at IS NOT NULL),
    CHECK ((started_at IS NULL) = (started_by IS NULL)),
    CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL)),
    CHECK ((cancelled_at IS NULL) = (cancel_cause IS NULL)),
    CHECK ((cancelled_at IS NULL) = (cancel_by IS NULL)),
    CHECK ((cancelled_at IS NULL) = (cancel_request_id IS NULL)),
    CHECK ((cancelled_at IS NULL) = (stop_outcome IS NULL)),
    CHECK (cancel_reason IS NULL OR cancelled_at IS NOT NULL),
    CHECK (superseded_by IS NULL OR cancel_cause IS 'superseded'),
    CHECK (stop_outcome IS NULL OR (stop_outcome = 'stopping') = (open_shards > 0)),
    CHECK ((stop_closed_at IS NULL) = (stop_outcome IS NULL OR stop_outcome = 'never_started' OR stop_outcome = 'stopping')),
    CHECK (kill_at IS NULL OR cancelled_at IS NOT NULL),
    CHECK ((kill_at IS NULL) = (kill_by IS NULL)),
    CHECK ((kill_at IS NULL) = (kill_request_id IS NULL)),
    CHECK (late_at IS NULL OR cancelled_at IS NOT NULL)
) STRICT;

CREATE TABLE run_shards (
    run_id              INTEGER NOT NULL,
    shard               INTEGER NOT NULL CHECK (shard >= 1),
    state               TEXT    NOT NULL,
    result              TEXT,
    error_code          TEXT,
    counts              TEXT    CHECK (counts IS NULL OR json_valid(counts)),
    failed              INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    runner              TEXT,
    lease_token         TEXT,
    lease_renewed_at    INTEGER,
    lease_expires_at    INTEGER,
    started_at          INTEGER NOT NULL,
    started_by          TEXT    NOT NULL,
    claim_request_id    TEXT    NOT NULL,
    claim_request_hash  TEXT,
    attempt             INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    ended_at            INTEGER,
    finish_request_id   TEXT,
    finish_request_hash TEXT,
    stop_outcome        TEXT,
    stop_closed_at      INTEGER,
    late_result         TEXT    CHECK (late_result IS NULL OR json_valid(late_result)),
    carried             INTEGER NOT NULL DEFAULT 0 CHECK (carried = 0 OR carried = 1),
    CHECK ((state = 'ended') = (result IS NOT NULL)),
    CHECK ((state = 'error') = (error_code IS NOT NULL)),
    CHECK ((state = 'ended' OR state = 'error') = (ended_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (finish_request_id IS NULL)),
    CHECK ((state = 'cancelled') = (stop_outcome IS NOT NULL)),
    CHECK ((state = 'cancelled') = (stop_closed_at IS NOT NULL)),
    CHECK (late_result IS NULL OR stop_outcome IS 'lost'),
    CHECK ((carried = 1) = (lease_token IS NULL)),
    CHECK (carried = 0 OR result IS 'passed'),
    CHECK ((lease_token IS NULL) = (lease_renewed_at IS NULL)),
    CHECK ((lease_token IS NULL) = (lease_expires_at IS NULL)),
    PRIMARY KEY (run_id, shard)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_events (
    run_id     INTEGER NOT NULL,
    step       INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    from_state TEXT,
    to_state   TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    by         TEXT    NOT NULL,
    reason     TEXT,
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

INSERT INTO runs (id, project_id, environment_id, state, result, error_code, request_id, request_hash, created_at, created_by, waiting_since, branch,
                  build, metadata, tags, github_actor, concurrency_group, protected, started_at, started_by, ended_at, ended_by, counts,
                  cancelled_at, cancel_reason, cancel_cause, cancel_by, cancel_request_id, cancel_request_hash, superseded_by,
                  stop_closed_at,
                  total_shards, open_shards, finished_shards, failed_tests, stop_outcome)
SELECT id, project_id, environment_id, state, result, error_code, request_id, request_hash, created_at, created_by, waiting_since, branch,
       build, metadata, tags, github_actor, concurrency_group, protected, started_at, started_by, ended_at, ended_by, counts,
       cancelled_at, cancel_reason, cancel_cause, cancel_by, cancel_request_id, cancel_request_hash, superseded_by,
       stop_closed_at,
       iif(total_shards IS NULL OR open_state IS NOT NULL OR stop_outcome = 'stopping', 1, total_shards),
       iif(state = 'started' OR stop_outcome = 'stopping', 1, 0),
       iif(ended_at IS NULL, 0, coalesce(total_shards, 1)),
       coalesce(counts ->> 'failed', 0),
       iif(stop_terminated, 'terminated', stop_outcome)
  FROM old_runs;

INSERT INTO run_shards (run_id, shard, state, result, error_code, counts, failed, runner, lease_token, lease_renewed_at,
                        lease_expires_at, started_at, started_by, claim_request_id, claim_request_hash, ended_at,
                        finish_request_id, finish_request_hash, stop_outcome, stop_closed_at)
SELECT id, 1, iif(stop_outcome = 'stopping', 'started', state), result, error_code, counts, coalesce(counts ->> 'failed', 0), runner,
       lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, claim_request_id, claim_request_hash, ended_at,
       finish_request_id, finish_request_hash,
       CASE WHEN stop_closed_at IS NOT NULL THEN iif(stop_terminated, 'terminated', stop_outcome) END, stop_closed_at
  FROM old_runs
 WHERE lease_token IS NOT NULL;

INSERT INTO run_events SELECT * FROM old_run_events;

DROP TABLE old_run_events;
DROP TABLE old_runs;

CREATE UNIQUE INDEX runs_by_request     ON runs (request_id);
CREATE INDEX        runs_by_project     ON runs (project_id);
CREATE INDEX        runs_by_branch      ON runs (project_id, branch) WHERE branch IS NOT NULL;
CREATE INDEX        runs_by_environment ON runs (project_id, environment_id);
CREATE INDEX        runs_by_result      ON runs (project_id, result) WHERE result IS NOT NULL;

CREATE UNIQUE INDEX runs_by_run_group   ON runs (project_id, run_group, attempt) WHERE run_group IS NOT NULL;

CREATE INDEX runs_open     ON runs (open_state, project_id) WHERE open_state IS NOT NULL;
CREATE INDEX runs_stopping ON runs (cancelled_at) WHERE stop_outcome = 'stopping';

CREATE INDEX runs_by_active_group ON runs (project_id, active_group) WHERE active_group IS NOT NULL;
CREATE INDEX runs_by_held_group   ON runs (project_id, held_group)   WHERE held_group IS NOT NULL;

-- A guard fires AFTER its statement where it can: a BEFORE trigger makes SQLite read the row once more. It undoes the
-- whole statement all the same.

-- A run is registered once. A repeat of its registration does nothing, and an INSERT OR REPLACE, which would take its place
-- without deleting it, does nothing either.
CREATE TRIGGER runs_are_registered_once BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE request_id = NEW.request_id)
BEGIN
    SELECT RAISE(IGNORE);
END;

CREATE TRIGGER runs_registered AFTER INSERT ON runs
BEGIN
    SELECT RAISE(ABORT, 'a run begins pending or queued')
     WHERE (NEW.state <> 'pending' AND NEW.state <> 'queued') OR NEW.version <> 1 OR NEW.open_shards <> 0
        OR NEW.finished_shards <> 0 OR NEW.failed_tests <> 0;
    -- After an INSERT OR REPLACE by the id, the events of the run that was there are still there.
    SELECT RAISE(ABORT, 'a run is registered once') WHERE EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.id);
    SELECT RAISE(ABORT, 'a run is of its project''s environments')
     WHERE NEW.project_id IS NOT (SELECT project_id FROM environments WHERE id = NEW.environment_id);
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by)
    VALUES (NEW.id, iif(NEW.state = 'pending', 1, 2), NEW.created_at, NULL, NEW.state, 'registered', NEW.created_by);
END;

-- These fire on every UPDATE that names one of these columns, whatever value it sets.
CREATE TRIGGER runs_registration_stands AFTER UPDATE OF
    id, project_id, environment_id, request_id, request_hash, created_at, created_by, branch, build, metadata, tags,
    github_actor, total_shards, fail_fast, run_group, concurrency_group, protected ON runs
BEGIN
    SELECT RAISE(ABORT, 'what was registered never changes');
END;

CREATE TRIGGER runs_count_their_versions AFTER UPDATE ON runs
WHEN NEW.version <> OLD.version + 1
BEGIN
    SELECT RAISE(ABORT, 'each change of a run counts its version up');
END;

CREATE TRIGGER runs_attempts_grow AFTER UPDATE OF attempt ON runs
WHEN NEW.attempt < OLD.attempt OR OLD.open_state IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a later attempt joins a run that is not over');
END;

CREATE TRIGGER runs_over_is_over AFTER UPDATE OF
    state, result, error_code, ended_at, ended_by, counts, finished_shards, failed_tests, started_at, started_by,
    cancelled_at, cancel_reason, cancel_cause, cancel_by, cancel_request_id, cancel_request_hash, superseded_by,
    waiting_since ON runs
WHEN OLD.open_state IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;

CREATE TRIGGER runs_go_forward AFTER UPDATE OF state ON runs
WHEN OLD.state <> NEW.state AND CASE OLD.state
    WHEN 'pending' THEN NEW.state <> 'queued' AND NEW.state <> 'cancelled'
    WHEN 'queued' THEN NEW.state <> 'started' AND NEW.state <> 'cancelled'
    WHEN 'started' THEN NEW.state <> 'ended' AND NEW.state <> 'error' AND NEW.state <> 'cancelled' END
BEGIN
    SELECT RAISE(ABORT, 'a run only goes forward');
END;

CREATE TRIGGER runs_start_once AFTER UPDATE OF started_at, started_by ON runs
WHEN OLD.started_at IS NOT NULL AND (NEW.started_at IS NOT OLD.started_at OR NEW.started_by IS NOT OLD.started_by)
BEGIN
    SELECT RAISE(ABORT, 'a run starts once');
END;

CREATE TRIGGER runs_take_known_words AFTER UPDATE OF result, error_code, cancel_cause, stop_outcome ON runs
WHEN (NEW.result <> 'passed' AND NEW.result <> 'failed')
  OR (NEW.error_code <> 'merge_conflict' AND NEW.error_code <> 'dispatch_failed' AND NEW.error_code <> 'report_not_generated'
      AND NEW.error_code <> 'run_failed_with_error' AND NEW.error_code <> 'worker_interrupted'
      AND NEW.error_code <> 'merge_reports_failed')
  OR (NEW.cancel_cause <> 'user' AND NEW.cancel_cause <> 'stale' AND NEW.cancel_cause <> 'superseded'
      AND NEW.cancel_cause <> 'fail_fast')
  OR (NEW.stop_outcome <> 'never_started' AND NEW.stop_outcome <> 'stopping' AND NEW.stop_outcome <> 'graceful'
      AND NEW.stop_outcome <> 'terminated' AND NEW.stop_outcome <> 'killed' AND NEW.stop_outcome <> 'lost')
BEGIN
    SELECT RAISE(ABORT, 'not a word of this schema');
END;

CREATE TRIGGER runs_stop_record_closes_once AFTER UPDATE OF stop_outcome, stop_closed_at, open_shards ON runs
WHEN OLD.stop_outcome IS NOT NULL AND OLD.stop_outcome <> 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a stop record closes once');
END;

CREATE TRIGGER runs_are_killed_once AFTER UPDATE OF kill_at, kill_by, kill_request_id ON runs
WHEN OLD.stop_outcome IS NOT 'stopping' OR OLD.kill_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a run that is stopping is killed once');
END;

CREATE TRIGGER runs_late_once AFTER UPDATE OF late_at ON runs
WHEN OLD.late_at IS NOT NULL AND NEW.late_at IS NOT OLD.late_at
BEGIN
    SELECT RAISE(ABORT, 'a late result comes once');
END;

-- A shard is claimed, or carried over from an earlier attempt.
CREATE TRIGGER run_shards_claimed AFTER INSERT ON run_shards
WHEN NEW.carried = 0
BEGIN
    SELECT RAISE(ABORT, 'a shard begins with its claim') WHERE NEW.state <> 'started';
    UPDATE runs
       SET version = version + 1, state = 'started', open_shards = open_shards + 1, attempt = max(attempt, NEW.attempt),
           started_at = coalesce(started_at, NEW.started_at), started_by = coalesce(started_by, NEW.started_by)
     WHERE id = NEW.run_id AND NEW.shard <= total_shards;
    SELECT RAISE(ABORT, 'a shard is one of its run''s') WHERE changes() = 0;
END;

-- One whose lease has run out may be claimed again, and one that was carried over may be run again after all.
CREATE TRIGGER run_shards_claimed_again AFTER UPDATE OF
    lease_token, runner, started_at, started_by, claim_request_id, claim_request_hash, carried ON run_shards
BEGIN
    SELECT RAISE(ABORT, 'a shard has one holder')
     WHERE NEW.lease_token IS OLD.lease_token OR NEW.carried <> 0 OR NEW.state <> 'started'
        OR NOT (OLD.carried = 1 OR (OLD.state = 'started' AND OLD.lease_expires_at <= NEW.lease_renewed_at));
    UPDATE runs
       SET version = version + 1, state = 'started', open_shards = open_shards + OLD.carried, attempt = max(attempt, NEW.attempt),
           finished_shards = finished_shards - OLD.carried, failed_tests = failed_tests + NEW.failed - OLD.failed,
           started_at = coalesce(started_at, NEW.started_at), started_by = coalesce(started_by, NEW.started_by)
     WHERE id = NEW.run_id;
END;

CREATE TRIGGER run_shards_stay AFTER UPDATE OF
    run_id, shard, state, result, error_code, counts, failed, lease_renewed_at, lease_expires_at, ended_at,
    finish_request_id, finish_request_hash, stop_outcome, stop_closed_at ON run_shards
WHEN NEW.run_id <> OLD.run_id OR NEW.shard <> OLD.shard OR (OLD.state <> 'started' AND OLD.carried = NEW.carried)
BEGIN
    SELECT RAISE(ABORT, 'a shard that is closed never changes');
END;

CREATE TRIGGER run_shards_take_known_words AFTER UPDATE OF state, result, error_code, stop_outcome ON run_shards
WHEN (NEW.state <> 'started' AND NEW.state <> 'ended' AND NEW.state <> 'error' AND NEW.state <> 'cancelled')
  OR (NEW.result <> 'passed' AND NEW.result <> 'failed')
  OR (NEW.error_code <> 'merge_conflict' AND NEW.error_code <> 'dispatch_failed' AND NEW.error_code <> 'report_not_generated'
      AND NEW.error_code <> 'run_failed_with_error' AND NEW.error_code <> 'worker_interrupted'
      AND NEW.error_code <> 'merge_reports_failed')
  OR (NEW.stop_outcome <> 'graceful' AND NEW.stop_outcome <> 'terminated' AND NEW.stop_outcome <> 'killed'
      AND NEW.stop_outcome <> 'lost')
BEGIN
    SELECT RAISE(ABORT, 'not a word of this schema');
END;

-- A shard finishes, and the last one ends the run: error if any broke (with the code of the first that did), else failed
-- if any failed, else passed. The others are only read for the last.
CREATE TRIGGER run_shards_finished AFTER UPDATE OF state ON run_shards
WHEN NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL
BEGIN
    UPDATE runs
       SET version = version + 1, open_shards = open_shards - 1, finished_shards = finished_shards + 1,
           failed_tests = failed_tests + NEW.failed - OLD.failed,
           (state, result, error_code, counts, ended_at, ended_by) =
               (SELECT CASE WHEN count(*) = 0 THEN 'started' WHEN count(s.error_code) > 0 THEN 'error' ELSE 'ended' END,
                       CASE WHEN count(*) > 0 AND count(s.error_code) = 0 THEN min(s.result) END,
                       substr(min(printf('%6d', s.shard) || s.error_code), 7),
                       CASE WHEN count(s.counts) > 0 THEN json_object(
                           'total', sum(s.counts ->> 'total'), 'success', sum(s.counts ->> 'success'),
                           'failed', sum(s.counts ->> 'failed'), 'skipped', sum(s.counts ->> 'skipped'),
                           'flaky', sum(s.counts ->> 'flaky')) END,
                       CASE WHEN count(*) > 0 THEN max(s.ended_at) END,
                       CASE WHEN count(*) > 0 THEN NEW.started_by END
                  FROM run_shards s
                 WHERE s.run_id = iif(runs.finished_shards + 1 = runs.total_shards, NEW.run_id, NULL))
     WHERE id = NEW.run_id AND state = 'started';
    SELECT RAISE(ABORT, 'a shard finishes while its run is started') WHERE changes() = 0;
END;

-- A runner says how many tests have failed so far.
CREATE TRIGGER run_shards_failed AFTER UPDATE OF failed ON run_shards
WHEN NEW.failed <> OLD.failed AND NEW.state = 'started' AND NEW.lease_token IS OLD.lease_token
BEGIN
    UPDATE runs SET version = version + 1, failed_tests = failed_tests + NEW.failed - OLD.failed
     WHERE id = NEW.run_id AND state = 'started';
END;

-- The runner of a cancelled run's shard has stopped or is given up. The last one closes the run's stop record with the
-- worst that any shard has.
CREATE TRIGGER run_shards_stopped AFTER UPDATE OF state ON run_shards
WHEN NEW.state = 'cancelled' AND OLD.state <> 'cancelled'
BEGIN
    UPDATE runs
       SET version = version + 1, open_shards = open_shards - 1,
           (stop_outcome, stop_closed_at) =
               (SELECT CASE WHEN count(*) = 0 THEN 'stopping' WHEN max(s.stop_outcome = 'lost') THEN 'lost'
                            WHEN max(s.stop_outcome = 'killed') THEN 'killed'
                            WHEN max(s.stop_outcome = 'terminated') THEN 'terminated' ELSE 'graceful' END,
                       max(s.stop_closed_at)
                  FROM run_shards s
                 WHERE s.run_id = iif(runs.open_shards = 1, NEW.run_id, NULL) AND s.stop_outcome IS NOT NULL)
     WHERE id = NEW.run_id AND stop_outcome = 'stopping';
    SELECT RAISE(ABORT, 'a shard stops when its run is cancelled')
     WHERE changes() = 0 AND (SELECT stop_outcome FROM runs WHERE id = NEW.run_id) IS NOT 'lost';
END;

-- A run whose runners are given up together.
CREATE TRIGGER runs_lost AFTER UPDATE OF stop_outcome ON runs
WHEN NEW.stop_outcome = 'lost' AND OLD.stop_outcome IS NOT 'lost'
BEGIN
    UPDATE run_shards SET state = 'cancelled', stop_outcome = 'lost', stop_closed_at = NEW.stop_closed_at
     WHERE run_id = NEW.id AND state = 'started';
END;

CREATE TRIGGER run_shards_late AFTER UPDATE OF late_result ON run_shards
BEGIN
    SELECT RAISE(ABORT, 'a late result comes once') WHERE OLD.late_result IS NOT NULL;
    UPDATE runs SET version = version + 1, late_at = coalesce(late_at, NEW.late_result ->> 'at') WHERE id = NEW.run_id;
END;

-- As soon as enough tests have failed, over all shards, the others need not go on.
CREATE TRIGGER runs_fail_fast AFTER UPDATE OF failed_tests ON runs
WHEN NEW.failed_tests >= NEW.fail_fast AND NEW.state = 'started'
BEGIN
    UPDATE runs
       SET version = version + 1, state = 'cancelled',
           cancelled_at = (SELECT max(coalesce(s.ended_at, s.lease_renewed_at)) FROM run_shards s WHERE s.run_id = NEW.id),
           cancel_cause = 'fail_fast', cancel_by = 'system:fail-fast',
           cancel_reason = NEW.failed_tests || iif(NEW.failed_tests = 1, ' test', ' tests') || ' failed; fail_fast is ' || NEW.fail_fast,
           cancel_request_id = 'fail-fast:' || NEW.id,
           stop_outcome = iif(open_shards = 0, 'never_started', 'stopping')
     WHERE id = NEW.id;
END;

-- A later attempt begins with the shards that passed before, so that re-running one that failed ends the run. If all
-- passed, all are run again.
CREATE TRIGGER runs_carry AFTER INSERT ON runs
WHEN NEW.run_group IS NOT NULL AND NEW.attempt > 1
BEGIN
    INSERT INTO run_shards (run_id, shard, state, result, counts, failed, runner, started_at, started_by, claim_request_id,
                            attempt, ended_at, finish_request_id, carried)
    SELECT NEW.id, s.shard, s.state, s.result, s.counts, s.failed, s.runner, s.started_at, s.started_by, s.claim_request_id,
           s.attempt, s.ended_at, s.finish_request_id, 1
      FROM (SELECT id, result FROM runs
             WHERE project_id = NEW.project_id AND run_group = NEW.run_group AND attempt < NEW.attempt
             ORDER BY attempt DESC LIMIT 1) r
     CROSS JOIN run_shards s ON s.run_id = r.id
     WHERE r.result IS NOT 'passed' AND s.result = 'passed' AND s.shard <= NEW.total_shards;
    UPDATE runs SET version = version + 1, finished_shards = changes(),
                    failed_tests = (SELECT sum(failed) FROM run_shards WHERE run_id = NEW.id)
     WHERE id = NEW.id AND changes() > 0;
END;

CREATE TRIGGER environments_are_kept BEFORE DELETE ON environments
BEGIN
    SELECT RAISE(ABORT, 'an environment is never deleted');
END;

-- The record is kept.
CREATE TRIGGER runs_are_kept BEFORE DELETE ON runs
BEGIN
    SELECT RAISE(ABORT, 'a run is never deleted');
END;
CREATE TRIGGER run_shards_are_kept BEFORE DELETE ON run_shards
BEGIN
    SELECT RAISE(ABORT, 'a shard is never deleted');
END;
CREATE TRIGGER run_events_are_kept BEFORE DELETE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted');
END;
CREATE TRIGGER run_events_stand BEFORE UPDATE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;
-- An event says what its run has just become, once: one that is forged would stand in the true one's way.
CREATE TRIGGER run_events_are_true BEFORE INSERT ON run_events
WHEN NEW.step <> CASE WHEN NEW.from_state = NEW.to_state THEN CASE NEW.cause WHEN 'kill' THEN 5 WHEN 'stopped' THEN 6 ELSE 7 END
                      WHEN NEW.to_state = 'pending' THEN 1 WHEN NEW.to_state = 'queued' THEN 2
                      WHEN NEW.to_state = 'started' THEN 3 ELSE 4 END
  OR EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND step = NEW.step)
  OR (SELECT CASE WHEN NEW.step = 5 AND kill_at IS NULL OR NEW.step = 6 AND stop_closed_at IS NULL
                    OR NEW.step = 7 AND late_at IS NULL THEN NULL ELSE state END
        FROM runs WHERE id = NEW.run_id) IS NOT NEW.to_state
BEGIN
    SELECT RAISE(ABORT, 'an event says what its run has become');
END;

CREATE TRIGGER runs_changed_state AFTER UPDATE OF state ON runs
WHEN NEW.state <> OLD.state
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
    VALUES (
        NEW.id,
        CASE NEW.state WHEN 'queued' THEN 2 WHEN 'started' THEN 3 ELSE 4 END,
        CASE NEW.state WHEN 'queued' THEN NEW.waiting_since WHEN 'started' THEN NEW.started_at
                       WHEN 'cancelled' THEN NEW.cancelled_at ELSE NEW.ended_at END,
        OLD.state, NEW.state,
        CASE NEW.state WHEN 'queued' THEN 'promoted' WHEN 'started' THEN 'claimed'
                       WHEN 'cancelled' THEN NEW.cancel_cause ELSE 'finished' END,
        CASE NEW.state WHEN 'queued' THEN 'system:concurrency' WHEN 'started' THEN NEW.started_by
                       WHEN 'cancelled' THEN NEW.cancel_by ELSE NEW.ended_by END,
        CASE NEW.state WHEN 'cancelled' THEN NEW.cancel_reason WHEN 'error' THEN NEW.error_code END);
END;

-- What became of the stop: each at most once.
CREATE TRIGGER runs_killed AFTER UPDATE OF kill_at ON runs
WHEN NEW.kill_at IS NOT OLD.kill_at
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by)
    VALUES (NEW.id, 5, NEW.kill_at, 'cancelled', 'cancelled', 'kill', NEW.kill_by);
END;
CREATE TRIGGER runs_stopped AFTER UPDATE OF stop_closed_at ON runs
WHEN NEW.stop_closed_at IS NOT OLD.stop_closed_at
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
    VALUES (NEW.id, 6, NEW.stop_closed_at, 'cancelled', 'cancelled', 'stopped',
            iif(NEW.stop_outcome = 'lost', 'system:sweeper', NEW.started_by), NEW.stop_outcome);
END;
CREATE TRIGGER runs_late AFTER UPDATE OF late_at ON runs
WHEN NEW.late_at IS NOT OLD.late_at
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
    VALUES (NEW.id, 7, NEW.late_at, 'cancelled', 'cancelled', 'late_result', NEW.started_by,
            (SELECT coalesce(s.late_result ->> 'result', s.late_result ->> 'error_code') FROM run_shards s
              WHERE s.run_id = NEW.id AND s.late_result IS NOT NULL LIMIT 1));
END;

-- The concurrency limits are kept here, so that no path that registers or ends a run can forget them: each of these
-- is part of the very statement that makes the change.

-- A new run takes the place of what its project's behaviour says: of every older run in its group that is not over
-- (cancel_previous), or of the one that waits (queue_new). Protected runs stay.
CREATE TRIGGER runs_supersede AFTER INSERT ON runs
WHEN NEW.concurrency_group IS NOT NULL
BEGIN
    UPDATE runs
       SET version = version + 1, state = 'cancelled',
           cancelled_at = max(NEW.created_at, waiting_since, coalesce(started_at, 0)), cancel_cause = 'superseded',
           cancel_by = 'system:concurrency', cancel_reason = 'test run ' || NEW.id || ' took its place', cancel_request_id = NEW.request_id,
           cancel_request_hash = NEW.request_hash, superseded_by = NEW.id,
           stop_outcome = iif(open_shards = 0, 'never_started', 'stopping')
     WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group
       AND open_state IS NOT NULL AND protected = 0 AND id <> NEW.id
       AND (NEW.state = 'queued' OR state = 'pending')
       AND (state = 'pending' OR (SELECT concurrency_behaviour FROM projects WHERE id = NEW.project_id) = 'cancel_previous');
END;

-- A run whose shard is claimed takes its group, and gives up the run before it whose runners were to stop and are lost: the
-- claim has made sure that their leases ran out long ago.
CREATE TRIGGER runs_take_their_group AFTER UPDATE OF state ON runs
WHEN NEW.state = 'started' AND OLD.state <> 'started' AND NEW.concurrency_group IS NOT NULL
BEGIN
    UPDATE runs
       SET version = version + 1, stop_outcome = 'lost', stop_closed_at = max(NEW.started_at, cancelled_at), open_shards = 0
     WHERE project_id = NEW.project_id AND held_group = NEW.concurrency_group AND id <> NEW.id AND stop_outcome = 'stopping';
    SELECT RAISE(ABORT, 'a group is held by one run')
     WHERE EXISTS (SELECT 1 FROM runs
                    WHERE project_id = NEW.project_id AND held_group = NEW.concurrency_group AND id <> NEW.id);
END;

-- When a run lets go of its group, finished, cancelled or lost, the newest one that waits for it may start; and for one
-- that is queued and could not be claimed so far, the unclaimed timeout begins.
CREATE TRIGGER runs_promote AFTER UPDATE OF state, stop_outcome ON runs
WHEN OLD.active_group IS NOT NULL AND NEW.active_group IS NULL
BEGIN
    UPDATE runs
       SET version = version + 1, state = 'queued',
           waiting_since = max(waiting_since, coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at))
     WHERE id = (SELECT max(id) FROM runs
                  WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state = 'pending')
       AND NOT EXISTS (SELECT 1 FROM runs
                        WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state <> 'pending');
    UPDATE runs
       SET version = version + 1, waiting_since = coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at)
     WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state = 'queued'
       AND waiting_since < coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at) AND NEW.started_at IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM runs WHERE project_id = NEW.project_id AND held_group = NEW.concurrency_group);
END;

UPDATE schema_version SET version = 6;
