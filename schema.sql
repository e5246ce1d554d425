-- Everything estop knows, and the rules that no statement can break.
--
-- Times are whole milliseconds since 1970-01-01T00:00:00Z. Applying this file again changes nothing.
-- The Worker's statements are guarded by their own WHERE clauses (src/sql); the CHECKs and triggers here are the
-- second line: a wrong statement fails loudly instead of writing a record that cannot be true.

-- A project: the wall between keys. No key sees a run of another project.
CREATE TABLE IF NOT EXISTS projects (
    id         INTEGER PRIMARY KEY,
    slug       TEXT    NOT NULL UNIQUE CHECK (length(slug) BETWEEN 1 AND 64), -- name for machines: lower case, digits, hyphens
    name       TEXT    NOT NULL,         -- name for people
    repo_name  TEXT,                     -- the repository, e.g. "acme/shop", if told
    request_id TEXT    NOT NULL,         -- the request that made it: tells a repeated insert from a second project
    created_at INTEGER NOT NULL
) STRICT;

-- An environment that runs test against, e.g. staging. It belongs to one project.
CREATE TABLE IF NOT EXISTS environments (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    slug       TEXT    NOT NULL CHECK (length(slug) BETWEEN 1 AND 64),
    name       TEXT    NOT NULL,
    request_id TEXT    NOT NULL,         -- as in projects
    created_at INTEGER NOT NULL,
    UNIQUE (project_id, slug)
) STRICT;

-- An API key. The key itself is never stored: whoever reads this table cannot use what it holds.
CREATE TABLE IF NOT EXISTS keys (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    user       TEXT    NOT NULL,         -- who acts with it: a name or an address, recorded in every run it touches
    name       TEXT    NOT NULL,         -- what it is for, e.g. "CI on main"
    hash       TEXT    NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'), -- SHA-256, lower-case hex
    can_read   INTEGER NOT NULL CHECK (can_read   IN (0, 1)), -- scope `read`: list, show, events
    can_cancel INTEGER NOT NULL CHECK (can_cancel IN (0, 1)), -- scope `cancel`
    can_run    INTEGER NOT NULL CHECK (can_run    IN (0, 1)), -- scope `run`: register, claim, heartbeat, finish
    created_at INTEGER NOT NULL,
    expires_at INTEGER,                  -- from this moment on it opens nothing; NULL: never expires
    revoked_at INTEGER                   -- when it was revoked; NULL: it was not
) STRICT;
CREATE INDEX IF NOT EXISTS keys_by_project ON keys (project_id);

-- A test run. A request id is stored as "<key id>:<id>": the id is the caller's Idempotency-Key or, without one,
-- the Worker's own, so that a repeated write is recognised as ours and two keys can never collide.
CREATE TABLE IF NOT EXISTS runs (
    id                INTEGER PRIMARY KEY,
    project_id        INTEGER NOT NULL REFERENCES projects (id),
    environment_id    INTEGER NOT NULL REFERENCES environments (id),

    -- pending    waits behind another run (concurrency limit)
    -- queued     may start; no runner has it yet
    -- started    a runner holds its lease
    -- ended      over: finished, `result` says how
    -- error      over: broke, `error_code` says how
    -- cancelled  over: stopped by someone or something, the cancel_ columns say by whom and why
    state             TEXT    NOT NULL CHECK (state IN ('pending', 'queued', 'started', 'ended', 'error', 'cancelled')),
    result            TEXT    CHECK (result IN ('passed', 'failed')),
    error_code        TEXT    CHECK (error_code IN ('merge_conflict', 'dispatch_failed', 'report_not_generated',
                                                    'run_failed_with_error', 'worker_interrupted', 'merge_reports_failed')),

    -- What was registered.
    request_id        TEXT    NOT NULL,  -- the request that registered it
    created_at        INTEGER NOT NULL,
    created_by        TEXT    NOT NULL,  -- the key's user
    waiting_since     INTEGER NOT NULL,  -- when it began to wait in its present waiting state: the never-claimed clock
    branch            TEXT,              -- the branch under test, if told
    build             TEXT    CHECK (build IS NULL OR json_valid(build)),       -- {url, branch, commit, commit_url, version}
    metadata          TEXT    CHECK (metadata IS NULL OR json_valid(metadata)), -- string and number values
    tags              TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags)),
    github_actor      TEXT,
    total_shards      INTEGER CHECK (total_shards >= 1),

    -- The lease: who runs it, and until when we believe that without hearing more. Only its token can renew or finish.
    runner            TEXT,              -- the runner's name, if told
    lease_token       TEXT,              -- the fence: heartbeat and finish must carry it
    lease_renewed_at  INTEGER,           -- the claim, or the last heartbeat that renewed
    lease_expires_at  INTEGER,
    started_at        INTEGER,
    started_by        TEXT,              -- the key's user
    claim_request_id  TEXT,

    -- How it finished.
    ended_at          INTEGER,
    ended_by          TEXT,              -- the key's user
    finish_request_id TEXT,
    counts            TEXT    CHECK (counts IS NULL OR json_valid(counts)),     -- {total, success, failed, skipped, flaky}

    -- Who stopped it, why and when. Written once, by the UPDATE that decides, and never again.
    cancelled_at      INTEGER,
    cancel_reason     TEXT,              -- what the caller said, or what the system says; NULL: nothing was said
    cancel_cause      TEXT    CHECK (cancel_cause IN ('user', 'stale', 'superseded')),
    cancel_by         TEXT,              -- the key's user, or "system:sweeper" and the like
    cancel_request_id TEXT,
    superseded_by     INTEGER REFERENCES runs (id),

    -- The stop record: whether the runner has really stopped. Apart from `state`, so that no run hangs in "cancelling".
    -- never_started  no runner ever held the run
    -- stopping       the runner was told, or will be at its next heartbeat
    -- graceful       the runner confirmed: the tests ended by themselves
    -- killed         the runner confirmed: it had to kill them
    -- lost           the lease ran out without a word
    stop_outcome      TEXT    CHECK (stop_outcome IN ('never_started', 'stopping', 'graceful', 'killed', 'lost')),
    stop_confirmed_at INTEGER,           -- when the runner confirmed; NULL: nobody did

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
    CHECK ((stop_confirmed_at IS NOT NULL) = (stop_outcome IS NOT NULL AND stop_outcome IN ('graceful', 'killed')))
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

-- The audit trail: one event for every change of state, written by the triggers below and by nothing else.
-- A run only ever goes forward, so the step it reached is the key: two terminal events of one run cannot exist.
CREATE TABLE IF NOT EXISTS run_events (
    run_id     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step       INTEGER NOT NULL,         -- 1 pending, 2 queued, 3 started, 4 over
    at         INTEGER NOT NULL,
    from_state TEXT,                     -- NULL: the run was registered
    to_state   TEXT    NOT NULL,
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
    state, result, error_code, ended_at, ended_by, counts, finish_request_id, lease_token, lease_renewed_at,
    lease_expires_at, started_at, started_by, runner, claim_request_id, cancelled_at, cancel_reason, cancel_cause,
    cancel_by, cancel_request_id, superseded_by ON runs
WHEN OLD.state IN ('ended', 'error', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;

CREATE TRIGGER IF NOT EXISTS runs_go_forward BEFORE UPDATE OF state ON runs
WHEN (OLD.state, NEW.state) IN (VALUES ('started', 'pending'), ('started', 'queued'), ('queued', 'pending'), ('pending', 'started'))
BEGIN
    SELECT RAISE(ABORT, 'a run only goes forward');
END;

CREATE TRIGGER IF NOT EXISTS runs_stop_record_closes_once BEFORE UPDATE OF stop_outcome, stop_confirmed_at ON runs
WHEN OLD.stop_outcome <> 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a stop record closes once');
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
