-- Two conditions that statements, triggers and an index repeated become generated columns, and a run's "slot" gets the
-- name that everybody uses for it: its concurrency group. Writes one row for each run that has such a group and is not
-- over or still stopping. No row changes.
--
-- Statements of 0.1.0: those that name `slot` or its index fail (claim, register); all others stay right.

-- A key opens nothing from this moment on. `expires_at > now AND revoked_at IS NULL`, said once.
ALTER TABLE keys ADD COLUMN valid_until INTEGER NOT NULL
    GENERATED ALWAYS AS (iif(revoked_at IS NULL, coalesce(expires_at, 9007199254740991), 0)) VIRTUAL;

DROP TRIGGER runs_supersede;
DROP TRIGGER runs_promote;
DROP INDEX runs_in_slot;

ALTER TABLE runs RENAME COLUMN slot TO concurrency_group;
ALTER TABLE runs ADD COLUMN active_group TEXT
    GENERATED ALWAYS AS (CASE WHEN state IN ('pending', 'queued', 'started') OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL;
CREATE INDEX runs_by_active_group ON runs (project_id, active_group) WHERE active_group IS NOT NULL;

CREATE TRIGGER runs_supersede AFTER INSERT ON runs
WHEN NEW.concurrency_group IS NOT NULL
BEGIN
    UPDATE runs
       SET state = 'cancelled', cancelled_at = NEW.created_at, cancel_cause = 'superseded', cancel_by = 'system:concurrency',
           cancel_reason = 'test run ' || NEW.id || ' took its place', cancel_request_id = NEW.request_id,
           superseded_by = NEW.id,
           stop_outcome = CASE WHEN lease_token IS NULL THEN 'never_started' ELSE 'stopping' END
     WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group
       AND state IN ('pending', 'queued', 'started') AND protected = 0 AND id <> NEW.id
       AND (NEW.state = 'queued' OR state = 'pending')
       AND (state = 'pending' OR (SELECT concurrency_behaviour FROM projects WHERE id = NEW.project_id) = 'cancel_previous');
END;

CREATE TRIGGER runs_promote AFTER UPDATE OF state, stop_outcome ON runs
WHEN NEW.concurrency_group IS NOT NULL AND NEW.active_group IS NULL
BEGIN
    UPDATE runs
       SET state = 'queued', waiting_since = coalesce(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at)
     WHERE id = (SELECT max(id) FROM runs
                  WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state = 'pending')
       AND NOT EXISTS (SELECT 1 FROM runs
                        WHERE project_id = NEW.project_id AND active_group = NEW.concurrency_group AND state <> 'pending');
END;

UPDATE schema_version SET version = 3;
