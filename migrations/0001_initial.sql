-- Everything estop knows, and the rules that hold whatever statement comes.
--
-- Times are whole milliseconds since 1970-01-01T00:00:00Z. Applying this file again changes nothing.
-- The Worker's statements are guarded by their own WHERE clauses (src/sql); the CHECKs and triggers here are the
-- second line: a wrong statement fails loudly instead of writing a record that cannot be true.

-- A project: the wall between keys. No key sees a run of another project.
CREATE TABLE IF NOT EXISTS projects (
    id         INTEGER PRIMARY KEY,      -- what the API calls project_id
    slug       TEXT    NOT NULL UNIQUE CHECK (length(slug) BETWEEN 1 AND 64), -- name for machines: lower case, digits, hyphens
    name       TEXT    NOT NULL,         -- name for people
    repo_name  TEXT,                     -- the repository, e.g. "acme/shop", if told
    request_id TEXT    NOT NULL,         -- the request that made it: tells a repeated insert from a second project
    created_at INTEGER NOT NULL,         -- when

    -- How many runs at once: one in each scope, or any number.
    -- none                no limit
    -- project             one in the project
    -- environment         one in each environment
    -- branch_environment  one in each environment and branch
    concurrency_scope     TEXT NOT NULL DEFAULT 'none'
        CHECK (concurrency_scope IN ('none', 'project', 'environment', 'branch_environment')),
    -- What a new run does to those before it in its scope.
    -- cancel_previous  takes their place
    -- queue_new        waits for the active one, in place of one that waits already
    concurrency_behaviour TEXT NOT NULL DEFAULT 'cancel_previous'
        CHECK (concurrency_behaviour IN ('cancel_previous', 'queue_new'))
) STRICT;

-- An environment that runs test against, e.g. staging. It belongs to one project.
CREATE TABLE IF NOT EXISTS environments (
    id         INTEGER PRIMARY KEY,      -- what the list's filter environment_ids takes
    project_id INTEGER NOT NULL REFERENCES projects (id), -- whose it is
    slug       TEXT    NOT NULL CHECK (length(slug) BETWEEN 1 AND 64), -- what a registration names it by
    name       TEXT    NOT NULL,         -- name for people
    request_id TEXT    NOT NULL,         -- as in projects
    created_at INTEGER NOT NULL,         -- when
    UNIQUE (project_id, slug)
) STRICT;

-- An API key. The key itself is never stored: whoever reads this table cannot use what it holds.
CREATE TABLE IF NOT EXISTS keys (
    id         INTEGER PRIMARY KEY,      -- what a revocation names it by
    project_id INTEGER NOT NULL REFERENCES projects (id), -- the one project that it opens
    user       TEXT    NOT NULL,         -- who acts with it: a name or an address, recorded in every run it touches
    name       TEXT    NOT NULL,         -- what it is for, e.g. "CI on main"
    hash       TEXT    NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'), -- SHA-256, lower-case hex
    can_read   INTEGER NOT NULL CHECK (can_read   IN (0, 1)), -- scope `read`: list, show, events
    can_cancel INTEGER NOT NULL CHECK (can_cancel IN (0, 1)), -- scope `cancel`
    can_run    INTEGER NOT NULL CHECK (can_run    IN (0, 1)), -- scope `run`: register, claim, heartbeat, finish
    created_at INTEGER NOT NULL,         -- when
    expires_at INTEGER,                  -- from this moment on it opens nothing; NULL: never expires
    revoked_at INTEGER                   -- when it was revoked; NULL: it was not
) STRICT;
CREATE INDEX IF NOT EXISTS keys_by_project ON keys (project_id);

-- A test run. A request id is stored as "<key id>:<id>": the id is the caller's Idempotency-Key or, without one,
-- the Worker's own, so that a repeated write is recognised as ours and two keys can never collide.
CREATE TABLE IF NOT EXISTS runs (
    id                INTEGER PRIMARY KEY, -- the {id} of every route of a run
    project_id        INTEGER NOT NULL REFERENCES projects (id),     -- whose it is: the key's project
    environment_id    INTEGER NOT NULL REFERENCES environments (id), -- what it runs against

    -- pending    waits behind another run (concurrency limit)
    -- queued     may start; no runner has it yet
    -- started    a runner holds its lease
    -- ended      over: finished, `result` says how
    -- error      over: broke, `error_code` says how
    -- cancelled  over: stopped by someone or something, the cancel_ columns say by whom and why
    state             TEXT    NOT NULL CHECK (state IN ('pending', 'queued', 'started', 'ended', 'error', 'cancelled')),
    result            TEXT    CHECK (result IN ('passed', 'failed')), -- how it ended; with `ended` only
    -- how it broke; with `error` only
    error_code        TEXT    CHECK (error_code IN ('merge_conflict', 'dispatch_failed', 'report_not_generated',
                                                    'run_failed_with_error', 'worker_interrupted', 'merge_reports_failed')),

    -- What was registered.
    request_id        TEXT    NOT NULL,  -- the request that registered it
    created_at        INTEGER NOT NULL,  -- when
    created_by        TEXT    NOT NULL,  -- the key's user
    waiting_since     INTEGER NOT NULL,  -- when it began to wait in its present waiting state: the never-claimed clock
    branch            TEXT,              -- the branch under test, if told
    build             TEXT    CHECK (build IS NULL OR json_valid(build)),       -- {url, branch, commit, commit_url, version}
    metadata          TEXT    CHECK (metadata IS NULL OR json_valid(metadata)), -- string and number values
    tags              TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags)), -- words to find it by
    github_actor      TEXT,              -- who set off the CI job, if told
    total_shards      INTEGER CHECK (total_shards >= 1), -- how many shards report, if told
    slot              TEXT,              -- its concurrency scope, e.g. "environment 3"; NULL: no limit when it was registered
    protected         INTEGER NOT NULL DEFAULT 0 CHECK (protected IN (0, 1)), -- 1: never superseded

    -- The lease: who runs it, and until when we believe that without hearing more. Only its token can renew or finish.
    runner            TEXT,              -- the runner's name, if told
    lease_token       TEXT,              -- the fence: heartbeat and finish must carry it
    lease_renewed_at  INTEGER,           -- the claim, or the last heartbeat that renewed
    lease_expires_at  INTEGER,           -- from then on the runner is silent for too long
    started_at        INTEGER,           -- the claim
    started_by        TEXT,              -- the key's user
    claim_request_id  TEXT,              -- the request that claimed it

    -- How it finished.
    ended_at          INTEGER,           -- when it ended or broke
    ended_by          TEXT,              -- the key's user
    finish_request_id TEXT,              -- the request that said so
    counts            TEXT    CHECK (counts IS NULL OR json_valid(counts)),     -- {total, success, failed, skipped, flaky}

    -- Who stopped it, why and when. Written once, by the UPDATE that decides, and never again.
    cancelled_at      INTEGER,           -- when
    cancel_reason     TEXT,              -- what the caller said, or what the system says; NULL: nothing was said
    cancel_cause      TEXT    CHECK (cancel_cause IN ('user', 'stale', 'superseded')), -- what brought it about
    cancel_by         TEXT,              -- the key's user, or "system:sweeper" and the like
    cancel_request_id TEXT,              -- the request, tick or registration that cancelled it
    superseded_by     INTEGER REFERENCES runs (id), -- the newer run that took its place

    -- The stop record: whether the runner has really stopped. Apart from `state`, so that no run hangs in "cancelling".
    -- never_started  no runner ever held the run
    -- stopping       the runner was told, or will be at its next heartbeat
    -- graceful       the runner confirmed: the tests ended by themselves
    -- killed         the runner confirmed: it had to kill them
    -- lost           the lease ran out without a word
    stop_outcome      TEXT    CHECK (stop_outcome IN ('never_started', 'stopping', 'graceful', 'killed', 'lost')),
    stop_closed_at    INTEGER,           -- when the runner confirmed, or was given up as lost; NULL: neither

    CHECK ((state = 'ended') = (result IS NOT NULL)),
    CHECK ((state = 'error') = (error_code IS NOT NULL)),
    CHECK ((state IN ('ended', 'error')) = (ended_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CHECK ((ended_at IS NULL) = (finish_request_id IS NULL)),
    CHECK (counts IS NULL OR ended_at IS NOT NULL),

    CHECK (state NOT IN ('pending', 'queued') OR lease_token IS NULL),
    CHECK (state NOT IN ('started', 'ended', 'error') OR lease_token IS NOT NULL),
    CHECK ((lease_token IS NULL) = (lease_renewed_at IS NULL)),
    CHECK ((lease_token IS NULL) = (lease_expires_at IS NULL)),
    CHECK ((lease_token IS NULL) = (started_at IS NULL)),
    CHECK ((lease_token IS NULL) = (started_by IS NULL)),
    CHECK ((lease_token IS NULL) = (claim_request_id IS NULL)),
    CHECK (runner IS NULL OR lease_token IS NOT NULL),

    CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL)),
    CHECK ((cancelled_at IS NULL) = (cancel_cause IS NULL)),
    CHECK ((cancelled_at IS NULL) = (cancel_by IS NULL)),
    CHECK ((cancelled_at IS NULL) = (cancel_request_id IS NULL)),
    CHECK ((cancelled_at IS NULL) = (stop_outcome IS NULL)),
    CHECK (cancel_reason IS NULL OR cancelled_at IS NOT NULL),
    CHECK (superseded_by IS NULL OR cancel_cause IS 'superseded'),
    CHECK (stop_outcome IS NULL OR (stop_outcome = 'never_started') = (lease_token IS NULL)),
    CHECK ((stop_closed_at IS NOT NULL) = (stop_outcome IS NOT NULL AND stop_outcome IN ('graceful', 'killed', 'lost')))
) STRICT;

-- One a filter of the list. Every index of a rowid table ends in the id, so each also gives newest first.
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_request     ON runs (request_id);
CREATE INDEX        IF NOT EXISTS runs_by_project     ON runs (project_id);
CREATE INDEX        IF NOT EXISTS runs_by_branch      ON runs (project_id, branch) WHERE branch IS NOT NULL;
CREATE INDEX        IF NOT EXISTS runs_by_environment ON runs (project_id, environment_id);
CREATE INDEX        IF NOT EXISTS runs_by_state       ON runs (project_id, state);
CREATE INDEX        IF NOT EXISTS runs_by_result      ON runs (project_id, result) WHERE result IS NOT NULL;

-- One a clock of the sweeper. Partial: each holds only the runs that its clock can still reach, so a tick reads what
-- it sweeps and not the history.
CREATE INDEX IF NOT EXISTS runs_unclaimed   ON runs (waiting_since)    WHERE state IN ('pending', 'queued');
CREATE INDEX IF NOT EXISTS runs_lapsing     ON runs (lease_expires_at) WHERE state = 'started';
CREATE INDEX IF NOT EXISTS runs_ageing      ON runs (started_at)       WHERE state = 'started';
CREATE INDEX IF NOT EXISTS runs_unconfirmed ON runs (lease_expires_at) WHERE stop_outcome = 'stopping';

-- The concurrency limits: the runs that wait for, hold or have not yet let go of their slot.
CREATE INDEX IF NOT EXISTS runs_in_slot ON runs (project_id, slot)
    WHERE slot IS NOT NULL AND (state IN ('pending', 'queued', 'started') OR stop_outcome = 'stopping');

-- A bulk cancel: which runs it chose, once, so that a repeat after a lost answer chooses no others.
CREATE TABLE IF NOT EXISTS bulk_cancels (
    request_id TEXT    PRIMARY KEY,      -- as in runs
    run_ids    TEXT    NOT NULL CHECK (json_valid(run_ids)), -- the runs that it chose, cancelled or not
    created_at INTEGER NOT NULL,         -- when
    created_by TEXT    NOT NULL          -- the key's user
) STRICT, WITHOUT ROWID;

-- The audit trail: one event for every change of state, written by the triggers below and by nothing else.
-- A run only ever goes forward, so the step it reached is the key: two terminal events of one run cannot exist.
CREATE TABLE IF NOT EXISTS run_events (
    run_id     INTEGER NOT NULL REFERENCES runs (id), -- whose story
    step       INTEGER NOT NULL,         -- 1 pending, 2 queued, 3 started, 4 over
    at         INTEGER NOT NULL,         -- when
    from_state TEXT,                     -- NULL: the run was registered
    to_state   TEXT    NOT NULL,         -- the state since
    cause      TEXT    NOT NULL,         -- registered, promoted, claimed, finished, or the cancel's cause
    by         TEXT    NOT NULL,         -- the key's user, or "system:…"
    reason     TEXT,                     -- the cancel's reason, the error's code, or NULL
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS runs_begin_waiting BEFORE INSERT ON runs
WHEN NEW.state NOT IN ('pending', 'queued')
BEGIN
    SELECT RAISE(ABORT, 'a run begins pending or queued');
END;

-- Fires on every UPDATE that names one of these columns, whatever value it sets.
CREATE TRIGGER IF NOT EXISTS runs_over_is_over BEFORE UPDATE OF
    state, result, error_code, ended_at, ended_by, counts, finish_request_id, lease_token,
    started_at, started_by, runner, claim_request_id, cancelled_at, cancel_reason, cancel_cause,
    cancel_by, cancel_request_id, superseded_by ON runs
WHEN OLD.state IN ('ended', 'error', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;

CREATE TRIGGER IF NOT EXISTS runs_go_forward BEFORE UPDATE OF state ON runs
WHEN (OLD.state, NEW.state) NOT IN (VALUES ('pending', 'queued'), ('queued', 'started'), ('started', 'ended'), ('started', 'error'),
    ('pending', 'cancelled'), ('queued', 'cancelled'), ('started', 'cancelled'))
  AND OLD.state <> NEW.state AND OLD.state IN ('pending', 'queued', 'started')
BEGIN
    SELECT RAISE(ABORT, 'a run only goes forward');
END;

-- A lease has one holder: nobody takes it over, and nothing takes it away.
CREATE TRIGGER IF NOT EXISTS runs_one_holder BEFORE UPDATE OF lease_token, started_at, started_by, runner, claim_request_id ON runs
WHEN OLD.lease_token IS NOT NULL AND OLD.state IN ('queued', 'started')
BEGIN
    SELECT RAISE(ABORT, 'a run is claimed once');
END;

-- A lease lasts on only while its runner can still have something to say: as long as the run is not over, and while it stops.
CREATE TRIGGER IF NOT EXISTS runs_lease_ends BEFORE UPDATE OF lease_renewed_at, lease_expires_at ON runs
WHEN OLD.state IN ('ended', 'error', 'cancelled') AND OLD.stop_outcome IS NOT 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;

CREATE TRIGGER IF NOT EXISTS runs_stop_record_closes_once BEFORE UPDATE OF stop_outcome, stop_closed_at ON runs
WHEN OLD.stop_outcome <> 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a stop record closes once');
END;

-- The record is kept.
CREATE TRIGGER IF NOT EXISTS runs_are_kept BEFORE DELETE ON runs
BEGIN
    SELECT RAISE(ABORT, 'a run is never deleted');
END;
CREATE TRIGGER IF NOT EXISTS run_events_are_kept BEFORE DELETE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted');
END;
CREATE TRIGGER IF NOT EXISTS run_events_stand BEFORE UPDATE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;

CREATE TRIGGER IF NOT EXISTS runs_registered AFTER INSERT ON runs
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by)
    VALUES (NEW.id, CASE NEW.state WHEN 'pending' THEN 1 ELSE 2 END, NEW.created_at, NULL, NEW.state, 'registered', NEW.created_by);
END;

CREATE TRIGGER IF NOT EXISTS runs_changed_state AFTER UPDATE OF state ON runs
WHEN NEW.state <> OLD.state
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
    SELECT NEW.id, 2, NEW.waiting_since, OLD.state, NEW.state, 'promoted', 'system:concurrency', NULL
     WHERE NEW.state = 'queued'
    UNION ALL
    SELECT NEW.id, 3, NEW.started_at, OLD.state, NEW.state, 'claimed', NEW.started_by, NULL
     WHERE NEW.state = 'started'
    UNION ALL
    SELECT NEW.id, 4, NEW.ended_at, OLD.state, NEW.state, 'finished', NEW.ended_by, NEW.error_code
     WHERE NEW.state IN ('ended', 'error')
    UNION ALL
    SELECT NEW.id, 4, NEW.cancelled_at, OLD.state, NEW.state, NEW.cancel_cause, NEW.cancel_by, NEW.cancel_reason
     WHERE NEW.state = 'cancelled';
END;

-- The concurrency limits are kept here, so that no path that registers or ends a run can forget them: each of these
-- is part of the very statement that makes the change.

-- A new run takes the place of what its project's behaviour says: of every older run in its slot that is not over
-- (cancel_previous), or of the one that waits (queue_new). Protected runs stay.
CREATE TRIGGER IF NOT EXISTS runs_supersede AFTER INSERT ON runs
WHEN NEW.slot IS NOT NULL
BEGIN
    UPDATE runs
       SET state = 'cancelled', cancelled_at = NEW.created_at, cancel_cause = 'superseded', cancel_by = 'system:concurrency',
           cancel_reason = 'test run ' || NEW.id || ' took its place', cancel_request_id = NEW.request_id,
           superseded_by = NEW.id,
           stop_outcome = CASE WHEN lease_token IS NULL THEN 'never_started' ELSE 'stopping' END
     WHERE project_id = NEW.project_id AND slot = NEW.slot AND slot IS NOT NULL
       AND (state IN ('pending', 'queued', 'started') OR stop_outcome = 'stopping')
       AND state IN ('pending', 'queued', 'started') AND protected = 0 AND id <> NEW.id
       AND (NEW.state = 'queued' OR state = 'pending')
       AND (state = 'pending' OR (SELECT concurrency_behaviour FROM projects WHERE id = NEW.project_id) = 'cancel_previous');
END;

-- When a run lets go of its slot, finished, cancelled or lost, the newest one that waits for it may start.
CREATE TRIGGER IF NOT EXISTS runs_promote AFTER UPDATE OF state, stop_outcome ON runs
WHEN NEW.slot IS NOT NULL AND NEW.state IN ('ended', 'error', 'cancelled') AND NEW.stop_outcome IS NOT 'stopping'
BEGIN
    UPDATE runs
       SET state = 'queued', waiting_since = COALESCE(NEW.stop_closed_at, NEW.ended_at, NEW.cancelled_at)
     WHERE id = (SELECT max(id) FROM runs
                  WHERE project_id = NEW.project_id AND slot = NEW.slot AND slot IS NOT NULL
                    AND (state IN ('pending', 'queued', 'started') OR stop_outcome = 'stopping')
                    AND state = 'pending')
       AND NOT EXISTS (SELECT 1 FROM runs
                        WHERE project_id = NEW.project_id AND slot = NEW.slot AND slot IS NOT NULL
                          AND (state IN ('pending', 'queued', 'started') OR stop_outcome = 'stopping')
                          AND state <> 'pending');
END;
