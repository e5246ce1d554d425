-- Closes the holes that a hard look found, and halves what a request costs in rows. No row changes; writes about one row for
-- each run that is not over, each project and each environment (indexes).
--
-- Statements of 0.1.0: lists by state, bulk cancels by filter and the sweeper name an index that has gone, so they fail;
-- those that 0003 made fail still do; all others stay right.

DROP TRIGGER runs_begin_waiting;
DROP TRIGGER runs_over_is_over;
DROP TRIGGER runs_go_forward;
DROP TRIGGER runs_one_holder;
DROP TRIGGER runs_lease_ends;
DROP TRIGGER runs_stop_record_closes_once;
DROP TRIGGER runs_are_kept;
DROP TRIGGER run_events_are_kept;
DROP TRIGGER run_events_stand;
DROP TRIGGER runs_registered;
DROP TRIGGER runs_changed_state;
DROP TRIGGER runs_supersede;
DROP TRIGGER runs_promote;

DROP INDEX runs_by_state;
DROP INDEX runs_unclaimed;
DROP INDEX runs_lapsing;
DROP INDEX runs_ageing;
DROP INDEX runs_by_active_group;

ALTER TABLE runs DROP COLUMN active_group;
ALTER TABLE runs ADD COLUMN open_state TEXT
    GENERATED ALWAYS AS (CASE state WHEN 'pending' THEN state WHEN 'queued' THEN state WHEN 'started' THEN state END) VIRTUAL;
ALTER TABLE runs ADD COLUMN active_group TEXT
    GENERATED ALWAYS AS (CASE WHEN open_state IS NOT NULL OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL;
ALTER TABLE runs ADD COLUMN held_group TEXT
    GENERATED ALWAYS AS (CASE WHEN state = 'started' OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL;
ALTER TABLE runs ADD COLUMN stop_terminated INTEGER NOT NULL DEFAULT 0; -- a CHECK would read every run
ALTER TABLE runs ADD COLUMN request_hash TEXT;
ALTER TABLE runs ADD COLUMN claim_request_hash TEXT;
ALTER TABLE runs ADD COLUMN finish_request_hash TEXT;
ALTER TABLE runs ADD COLUMN cancel_request_hash TEXT;
ALTER TABLE bulk_cancels ADD COLUMN request_hash TEXT;
ALTER TABLE bulk_cancels ADD COLUMN next TEXT;
ALTER TABLE projects ADD COLUMN request_hash TEXT;
ALTER TABLE environments ADD COLUMN request_hash TEXT;
ALTER TABLE keys ADD COLUMN request_id TEXT;
ALTER TABLE keys ADD COLUMN request_hash TEXT;
ALTER TABLE keys ADD COLUMN salt TEXT;

CREATE INDEX runs_open ON runs (open_state, project_id) WHERE open_state IS NOT NULL;
CREATE INDEX runs_by_active_group ON runs (project_id, active_group) WHERE active_group IS NOT NULL;
CREATE INDEX runs_by_held_group ON runs (project_id, held_group) WHERE held_group IS NOT NULL;
CREATE INDEX projects_by_request ON projects (request_id);
CREATE INDEX environments_by_request ON environments (request_id);
CREATE UNIQUE INDEX keys_by_request ON keys (request_id) WHERE request_id IS NOT NULL;

-- A guard fires AFTER its statement where it can: a BEFORE trigger makes SQLite read the row once more. It undoes the
-- whole statement all the same.

CREATE TRIGGER runs_registered AFTER INSERT ON runs
BEGIN
    SELECT RAISE(ABORT, 'a run begins pending or queued')
     WHERE (NEW.state <> 'pending' AND NEW.state <> 'queued') OR NEW.stop_terminated <> 0;
    -- INSERT OR REPLACE would take a run's place without deleting it; its events are still there.
    SELECT RAISE(ABORT, 'a run is registered once') WHERE EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.id);
    SELECT RAISE(ABORT, 'a run is of its project''s environments')
     WHERE NEW.project_id IS NOT (SELECT project_id FROM environments WHERE id = NEW.environment_id);
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by)
    VALUES (NEW.id, iif(NEW.state = 'pending', 1, 2), NEW.created_at, NULL, NEW.state, 'registered', NEW.created_by);
END;

-- These fire on every UPDATE that names one of these columns, whatever value it sets.
CREATE TRIGGER runs_registration_stands AFTER UPDATE OF
    id, project_id, environment_id, request_id, request_hash, created_at, created_by, branch, build, metadata, tags,
    github_actor, total_shards, concurrency_group, protected ON runs
BEGIN
    SELECT RAISE(ABORT, 'what was registered never changes');
END;

CREATE TRIGGER runs_over_is_over AFTER UPDATE OF
    state, result, error_code, ended_at, ended_by, counts, finish_request_id, finish_request_hash, lease_token,
    started_at, started_by, runner, claim_request_id, claim_request_hash, cancelled_at, cancel_reason, cancel_cause,
    cancel_by, cancel_request_id, cancel_request_hash, superseded_by, waiting_since ON runs
WHEN OLD.open_state IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;

CREATE TRIGGER runs_go_forward AFTER UPDATE OF state ON runs
WHEN OLD.state <> NEW.state AND CASE OLD.state
    WHEN 'pending' THEN NEW.state <> 'queued' AND NEW.state <> 'cancelled'
    WHEN 'queued' THEN NEW.state <> 'started' AND NEW.state <> 'cancelled'
    WHEN 'started' THEN NEW.open_state IS NOT NULL END
BEGIN
    SELECT RAISE(ABORT, 'a run only goes forward');
END;

-- A lease has one holder: nobody takes it over, and nothing takes it away.
CREATE TRIGGER runs_one_holder AFTER UPDATE OF
    lease_token, started_at, started_by, runner, claim_request_id, claim_request_hash ON runs
WHEN OLD.lease_token IS NOT NULL AND OLD.open_state IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a run is claimed once');
END;

-- A lease lasts on only while its runner can still have something to say: as long as the run is not over, and while it stops.
CREATE TRIGGER runs_lease_ends AFTER UPDATE OF lease_renewed_at, lease_expires_at ON runs
WHEN OLD.open_state IS NULL AND OLD.stop_outcome IS NOT 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;

CREATE TRIGGER runs_stop_record_closes_once AFTER UPDATE OF stop_outcome, stop_closed_at, stop_terminated ON runs
WHEN (OLD.stop_outcome IS NOT NULL AND OLD.stop_outcome <> 'stopping')
  OR (NEW.stop_terminated <> 0 AND (NEW.stop_terminated <> 1 OR NEW.stop_outcome IS NOT 'graceful'))
BEGIN
    SELECT RAISE(ABORT, 'a stop record closes once');
END;

-- An environment stays its project's: its runs could not follow it.
CREATE TRIGGER environments_are_made_once BEFORE INSERT ON environments
WHEN EXISTS (SELECT 1 FROM environments WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'an environment is made once');
END;
CREATE TRIGGER environments_stay AFTER UPDATE OF id, project_id ON environments
BEGIN
    SELECT RAISE(ABORT, 'an environment stays in its project');
END;

-- A key opens one project, to one user, for good, and is revoked for good.
CREATE TRIGGER keys_are_made_once BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE hash = NEW.hash) OR EXISTS (SELECT 1 FROM keys WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM keys WHERE request_id = NEW.request_id)
BEGIN
    SELECT RAISE(ABORT, 'a key is made once');
END;
CREATE TRIGGER keys_stand AFTER UPDATE OF
    id, project_id, user, hash, can_read, can_cancel, can_run, created_at, expires_at, request_id, request_hash,
    salt ON keys
BEGIN
    SELECT RAISE(ABORT, 'a key never changes');
END;
CREATE TRIGGER keys_are_revoked_for_good AFTER UPDATE OF revoked_at ON keys
WHEN OLD.revoked_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a revoked key stays revoked');
END;
CREATE TRIGGER keys_are_kept BEFORE DELETE ON keys
BEGIN
    SELECT RAISE(ABORT, 'a key is never deleted');
END;

-- The record is kept.
CREATE TRIGGER runs_are_kept BEFORE DELETE ON runs
BEGIN
    SELECT RAISE(ABORT, 'a run is never deleted');
END;
CREATE TRIGGER run_events_are_kept BEFORE DELETE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted');
END;
CREATE TRIGGER run_events_stand BEFORE UPDATE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;
-- An event says what its run has just become, once: one that is forged would stand in the true one's way. (A run that was
-- just registered has no event yet; nothing more need be read.)
CREATE TRIGGER run_events_are_true BEFORE INSERT ON run_events
WHEN NEW.step <> CASE NEW.to_state WHEN 'pending' THEN 1 WHEN 'queued' THEN 2 WHEN 'started' THEN 3 ELSE 4 END
  OR CASE WHEN NEW.from_state IS NULL
          THEN EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id)
          ELSE EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND step = NEW.step)
            OR (SELECT state FROM runs WHERE id = NEW.run_id) IS NOT NEW.to_state END
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

-- The concurrency limits are kept here, so that no path that registers or ends a run can forget them: each of these
-- is part of the very statement that makes the change.

-- A new run takes the place of what its project's behaviour says: of every older run in its group that is not over
-- (cancel_previous), or of the one that waits (queue_new). Protected runs stay.
CREATE TRIGGER runs_supersede AFTER INSERT ON runs
WHEN NEW.concurrency_group IS NOT NULL
BEGIN
    UPDATE runs
       SET state = 'cancelled', cancelled_at = max(NEW.created_at, waiting_since, coalesce(started_at, 0)),
           cancel_cause = 'superseded', cancel_by = 'system:concurrency',
           cancel_reason = 'test run ' || NEW.id || ' took its place', cancel_request_id = NEW.request_id,
           cancel_request_hash = NEW.request_hash, superseded_by = NEW.id,
           stop_outcome = iif(lease_token IS NULL, 'never_started', 'stopping')
     WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group
       AND open_state IS NOT NULL AND protected = 0 AND id <> NEW.id
       AND (NEW.state = 'queued' OR state = 'pending')
       AND (state = 'pending' OR (SELECT concurrency_behaviour FROM projects WHERE id = NEW.project_id) = 'cancel_previous');
END;

-- When a run lets go of its group, finished, cancelled or lost, the newest one that waits for it may start; and for one
-- that is queued and could not be claimed so far, the unclaimed timeout begins.
CREATE TRIGGER runs_promote AFTER UPDATE OF state, stop_outcome ON runs
WHEN OLD.active_group IS NOT NULL AND NEW.active_group IS NULL
BEGIN
    UPDATE runs
       SET state = 'queued', waiting_since = max(waiting_since, coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at))
     WHERE id = (SELECT max(id) FROM runs
                  WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state = 'pending')
       AND NOT EXISTS (SELECT 1 FROM runs
                        WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state <> 'pending');
    UPDATE runs
       SET waiting_since = coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at)
     WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state = 'queued'
       AND waiting_since < coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at) AND NEW.lease_token IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM runs WHERE project_id = NEW.project_id AND held_group = NEW.concurrency_group);
END;

UPDATE schema_version SET version = 5;
