-- The database as it is now, and the rules that hold whatever statement comes.
--
-- This file is for reading; a database gets here by migrations/, and a test compares the two. Times are whole
-- milliseconds since 1970-01-01T00:00:00Z. The Worker's statements are guarded by their own WHERE clauses
-- (src/operations, src/sweeper); the CHECKs and triggers here are the second line: a wrong statement fails loudly
-- instead of writing a record that cannot be true.

-- The number of the last migration. The Worker checks that it is at least the one that it needs.
CREATE TABLE schema_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), -- there is one row
    version  INTEGER NOT NULL
) STRICT;
INSERT INTO schema_version (only_row, version) VALUES (1, 5);

-- A project: the wall between keys. No key sees a run of another project.
CREATE TABLE projects (
    id         INTEGER PRIMARY KEY,      -- what the API calls project_id
    slug       TEXT    NOT NULL UNIQUE CHECK (length(slug) BETWEEN 1 AND 64), -- name for machines: lower case, digits, hyphens
    name       TEXT    NOT NULL,         -- name for people
    repo_name  TEXT,                     -- the repository, e.g. "acme/shop", if given
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
        CHECK (concurrency_behaviour IN ('cancel_previous', 'queue_new')),

    request_hash TEXT                    -- as in runs
) STRICT;
CREATE INDEX projects_by_request ON projects (request_id);

-- An environment that runs test against, e.g. staging. It belongs to one project.
CREATE TABLE environments (
    id         INTEGER PRIMARY KEY,      -- what the list's filter environment_ids takes
    project_id INTEGER NOT NULL REFERENCES projects (id), -- the project that it belongs to
    slug       TEXT    NOT NULL CHECK (length(slug) BETWEEN 1 AND 64), -- what a registration names it by
    name       TEXT    NOT NULL,         -- name for people
    request_id TEXT    NOT NULL,         -- as in projects
    created_at INTEGER NOT NULL,         -- when
    request_hash TEXT,                   -- as in runs
    UNIQUE (project_id, slug)
) STRICT;
CREATE INDEX environments_by_project ON environments (project_id);
CREATE INDEX environments_by_request ON environments (request_id);

-- An API key. The key itself is never stored: whoever reads this table cannot use what it holds.
CREATE TABLE keys (
    id         INTEGER PRIMARY KEY,      -- what a revocation names it by
    project_id INTEGER NOT NULL REFERENCES projects (id), -- the one project that it opens
    user       TEXT    NOT NULL,         -- who acts with it: a name or an address, recorded in every run it touches
    name       TEXT    NOT NULL,         -- what it is for, e.g. "CI on main"
    hash       TEXT    NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'), -- SHA-256, lower-case hex
    can_read   INTEGER NOT NULL CHECK (can_read   IN (0, 1)), -- scope `read`: list, show, events
    can_cancel INTEGER NOT NULL CHECK (can_cancel IN (0, 1)), -- scope `cancel`
    can_run    INTEGER NOT NULL CHECK (can_run    IN (0, 1)), -- scope `run`: register, claim
    created_at INTEGER NOT NULL,         -- when
    expires_at INTEGER,                  -- from this moment on it is rejected; NULL: never expires
    revoked_at INTEGER,                  -- when it was revoked; NULL: it was not
    -- From this moment on it is rejected, be it expired or revoked. Every statement of a request compares it with now.
    valid_until INTEGER NOT NULL
        GENERATED ALWAYS AS (iif(revoked_at IS NULL, coalesce(expires_at, 9007199254740991), 0)) VIRTUAL,

    -- What a repeat of its creation needs, if that came with an Idempotency-Key.
    request_id   TEXT,                   -- that request, "key:<Idempotency-Key>"
    request_hash TEXT,                   -- as in runs
    salt         TEXT                    -- the key's text is made of this, the request's id and the admin token
) STRICT;
CREATE INDEX keys_by_project ON keys (project_id);
CREATE UNIQUE INDEX keys_by_request ON keys (request_id) WHERE request_id IS NOT NULL;

-- A test run. A request id is stored as "<key id>:<id>" (of a finish, which needs no key, as "lease:<id>"): the id is the
-- caller's Idempotency-Key or, without one, the Worker's own, so that a repeated write is recognised as ours and two keys
-- can never collide. With it goes the hash of that request's route and body (SHA-256, the first half, in hex): the same
-- Idempotency-Key with another hash is another request and not a repeat. NULL: from before 0.2.0, and taken for a repeat.
CREATE TABLE runs (
    id                INTEGER PRIMARY KEY, -- the {id} of every route of a run
    project_id        INTEGER NOT NULL REFERENCES projects (id),     -- the project that it belongs to: the key's project
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
    -- For the unclaimed timeout: since when it could have been claimed, which it cannot while another run holds its group.
    waiting_since     INTEGER NOT NULL,
    branch            TEXT,              -- the branch under test, if given
    build             TEXT    CHECK (build IS NULL OR json_valid(build)),       -- {url, branch, commit, commit_url, version}
    metadata          TEXT    CHECK (metadata IS NULL OR json_valid(metadata)), -- string and number values
    tags              TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags)), -- words to find it by
    github_actor      TEXT,              -- who set off the CI job, if given
    total_shards      INTEGER CHECK (total_shards >= 1), -- how many shards report, if given
    concurrency_group TEXT,              -- what may have one active run, e.g. "environment 3"; NULL: no limit when it was registered
    protected         INTEGER NOT NULL DEFAULT 0 CHECK (protected IN (0, 1)), -- 1: never superseded

    -- The lease: who runs it, and until when we believe that without hearing more. Only its token can renew or finish.
    runner            TEXT,              -- the runner's name, if given
    lease_token       TEXT,              -- the fence: heartbeat and finish must carry it
    lease_renewed_at  INTEGER,           -- the claim, or the last heartbeat that renewed
    lease_expires_at  INTEGER,           -- from then on the runner is silent for too long
    started_at        INTEGER,           -- the claim
    started_by        TEXT,              -- the key's user
    claim_request_id  TEXT,              -- the request that claimed it

    -- How it finished.
    ended_at          INTEGER,           -- when it ended or broke
    ended_by          TEXT,              -- the user whose key claimed it: a finish needs no key
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
    -- graceful       the runner confirmed: the tests ended by themselves, on SIGINT or, if `stop_terminated`, on SIGTERM
    -- killed         the runner confirmed: it had to kill them
    -- lost           the lease ran out without a word
    stop_outcome      TEXT    CHECK (stop_outcome IN ('never_started', 'stopping', 'graceful', 'killed', 'lost')),
    stop_closed_at    INTEGER,           -- when the runner confirmed, or was given up as lost; NULL: neither

    -- Its state as long as it is not over; NULL from then on. What a cancel can reach, and what the sweeper looks at.
    -- (Written so that SQLite compares, and does not look the state up in a list, which D1 bills as a row.)
    open_state        TEXT
        GENERATED ALWAYS AS (CASE state WHEN 'pending' THEN state WHEN 'queued' THEN state WHEN 'started' THEN state END) VIRTUAL,

    -- The concurrency group that it waits for, holds or has not yet let go of: as long as it is not over, or its runner
    -- is still stopping.
    active_group      TEXT
        GENERATED ALWAYS AS (CASE WHEN open_state IS NOT NULL OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL,

    -- The concurrency group that its runner holds, so that no other run of it can be claimed.
    held_group        TEXT
        GENERATED ALWAYS AS (CASE WHEN state = 'started' OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL,

    -- Added to the table later, as the columns above cannot be.
    stop_terminated     INTEGER NOT NULL DEFAULT 0, -- 1: it took SIGTERM; the API's outcome `terminated`
    request_hash        TEXT,            -- of the registration
    claim_request_hash  TEXT,            -- of the claim
    finish_request_hash TEXT,            -- of the finish
    cancel_request_hash TEXT,            -- of the cancel, or of the registration that superseded it

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

-- One for each filter of the list that has its own. Every index of a rowid table ends in the id, so each also gives newest
-- first. There is none for states that are over: nearly every run is in one.
CREATE UNIQUE INDEX runs_by_request     ON runs (request_id);
CREATE INDEX        runs_by_project     ON runs (project_id);
CREATE INDEX        runs_by_branch      ON runs (project_id, branch) WHERE branch IS NOT NULL;
CREATE INDEX        runs_by_environment ON runs (project_id, environment_id);
CREATE INDEX        runs_by_result      ON runs (project_id, result) WHERE result IS NOT NULL;

-- The runs that are not over: for the sweeper, for bulk cancels and for the list.
CREATE INDEX runs_open        ON runs (open_state, project_id) WHERE open_state IS NOT NULL;
-- The runs whose runners are still stopping: for the sweeper.
CREATE INDEX runs_unconfirmed ON runs (lease_expires_at) WHERE stop_outcome = 'stopping';

-- The concurrency limits.
CREATE INDEX runs_by_active_group ON runs (project_id, active_group) WHERE active_group IS NOT NULL;
CREATE INDEX runs_by_held_group   ON runs (project_id, held_group)   WHERE held_group IS NOT NULL;

-- A bulk cancel: which runs it chose, once, so that a repeat after a lost answer chooses no others.
CREATE TABLE bulk_cancels (
    request_id TEXT    PRIMARY KEY,      -- as in runs
    run_ids    TEXT    NOT NULL CHECK (json_valid(run_ids)), -- the runs that it chose, cancelled or not
    created_at INTEGER NOT NULL,         -- when
    created_by TEXT    NOT NULL,         -- the key's user
    request_hash TEXT,                   -- as in runs
    next       TEXT                      -- where the search goes on; NULL: it saw every open run
) STRICT, WITHOUT ROWID;

-- The audit trail: one event for every change of state, written by the triggers below and by nothing else.
-- A run only ever goes forward, so the step it reached is the key: two terminal events of one run cannot exist.
CREATE TABLE run_events (
    run_id     INTEGER NOT NULL REFERENCES runs (id), -- the run
    step       INTEGER NOT NULL,         -- 1 pending, 2 queued, 3 started, 4 over
    at         INTEGER NOT NULL,         -- when
    from_state TEXT,                     -- NULL: the run was registered
    to_state   TEXT    NOT NULL,         -- the state since
    cause      TEXT    NOT NULL,         -- registered, promoted, claimed, finished, or the cancel's cause
    by         TEXT    NOT NULL,         -- the key's user, or "system:…"
    reason     TEXT,                     -- the cancel's reason, the error's code, or NULL
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

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
