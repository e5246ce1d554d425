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
INSERT INTO schema_version (only_row, version) VALUES (1, 19);

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

    request_hash TEXT,                   -- as in runs
    badges       INTEGER NOT NULL DEFAULT 0 CHECK (badges = 0 OR badges = 1), -- 1: everybody may see its badges
    changed_at   INTEGER,                -- when an admin last changed it
    -- 1: a pull request of `repo_name` that is closed stops the runs of its branch
    stop_on_close INTEGER NOT NULL DEFAULT 0 CHECK (stop_on_close = 0 OR stop_on_close = 1),
    -- The repository, if it is one of GitHub's, and so may be part of an address there.
    github_repo   TEXT GENERATED ALWAYS AS (
        CASE WHEN repo_name GLOB '[A-Za-z0-9]*/?*' AND repo_name NOT GLOB '*[^-A-Za-z0-9._/]*' AND repo_name NOT GLOB '*/*/*'
              AND repo_name NOT GLOB '*/.' AND repo_name NOT GLOB '*/..' THEN repo_name END) VIRTUAL,
    -- For how many days a run that is over stays in the database; 0: for ever.
    retention_days INTEGER NOT NULL DEFAULT 90 CHECK (retention_days BETWEEN 0 AND 3650),
    -- The bucket that it lives in, for good; the buckets are what moves from one database to another.
    bucket         TEXT NOT NULL DEFAULT '00' CHECK (length(bucket) = 2 AND bucket NOT GLOB '*[^0-9a-z]*')
) STRICT;
CREATE INDEX projects_by_request ON projects (request_id);
CREATE INDEX projects_by_bucket  ON projects (bucket);
CREATE INDEX projects_by_repo    ON projects (repo_name COLLATE NOCASE) WHERE stop_on_close = 1;

-- An environment that runs test against, e.g. staging. It belongs to one project.
CREATE TABLE environments (
    id         INTEGER PRIMARY KEY,      -- what the list's filter environment_ids takes
    project_id INTEGER NOT NULL REFERENCES projects (id), -- the project that it belongs to
    slug       TEXT    NOT NULL CHECK (length(slug) BETWEEN 1 AND 64), -- what a registration names it by
    name       TEXT    NOT NULL,         -- name for people
    request_id TEXT    NOT NULL,         -- as in projects
    created_at INTEGER NOT NULL,         -- when
    request_hash TEXT,                   -- as in runs
    disabled   INTEGER NOT NULL DEFAULT 0 CHECK (disabled = 0 OR disabled = 1), -- 1: takes no new runs
    changed_at INTEGER,                  -- when an admin last changed it
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
    salt         TEXT,                   -- the key's text is made of this, the request's id and the admin token

    last_used_on INTEGER,                -- the last day on which it was let in (UTC, days since 1970-01-01); NULL: it never was

    -- A person who signs in with the company's account, "ada@example.com", or all of a domain's, "@example.com": the key has no
    -- text then, and is used by whom Cloudflare Access vouches for. A domain's lets its people in, each by a row of their own.
    access       TEXT,                   -- whom it lets in; NULL: it is a key with a text
    granted_by   INTEGER                 -- the domain's row that this person came in by; NULL: an admin let them in
) STRICT;
CREATE INDEX keys_by_project ON keys (project_id);
CREATE UNIQUE INDEX keys_by_request ON keys (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX keys_by_access ON keys (access, project_id) WHERE access IS NOT NULL;
CREATE INDEX keys_by_grant  ON keys (granted_by)         WHERE granted_by IS NOT NULL;

-- A test run. A request id is stored as "<key id>:<id>" (of a finish, which needs no key, as "lease:<id>"): the id is the
-- caller's Idempotency-Key or, without one, the Worker's own, so that a repeated write is recognised as ours and two keys
-- can never collide. With it goes the hash of that request's route and body (SHA-256, the first half, in hex): the same
-- Idempotency-Key with another hash is another request and not a repeat. NULL: from before 0.2.0, and taken for a repeat.
--
-- Which values a column takes is said by the triggers below and not by a CHECK, so that a new one needs no new table.
-- There are no foreign keys: each would read a row for what a trigger has checked already.
CREATE TABLE runs (
    id                INTEGER PRIMARY KEY, -- the {id} of every route of a run
    project_id        INTEGER NOT NULL,    -- the project that it belongs to: the key's project
    environment_id    INTEGER NOT NULL,    -- what it runs against: one of its project's environments
    version           INTEGER NOT NULL DEFAULT 1, -- grows by 1 with each change: of two copies, the higher one is newer

    -- pending    waits behind another run (concurrency limit)
    -- queued     may start; no runner has any of it yet
    -- started    a runner has claimed a shard of it
    -- ended      over: every shard is finished, `result` says how
    -- error      over: every shard is finished and one broke, `error_code` says how
    -- cancelled  over: stopped by someone or something, the cancel_ columns say by whom and why
    state             TEXT    NOT NULL,
    result            TEXT,              -- passed or failed; with `ended` only
    error_code        TEXT,              -- how it broke; with `error` only

    -- What was registered.
    request_id        TEXT    NOT NULL,  -- the request that registered it
    request_hash      TEXT,              -- and its hash
    created_at        INTEGER NOT NULL,  -- when
    created_by        TEXT    NOT NULL,  -- the key's user
    -- For the unclaimed timeout: since when it could have been claimed, which it cannot while another run holds its group.
    waiting_since     INTEGER NOT NULL,
    branch            TEXT,              -- the branch under test, if given
    build             TEXT    CHECK (build IS NULL OR json_valid(build)),       -- {url, branch, commit, commit_url, version}
    metadata          TEXT    CHECK (metadata IS NULL OR json_valid(metadata)), -- string and number values
    tags              TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags)), -- words to find it by
    github_actor      TEXT,              -- who set off the CI job, if given
    total_shards      INTEGER NOT NULL DEFAULT 1 CHECK (total_shards >= 1), -- how many shards it has, numbered from 1
    fail_fast         INTEGER CHECK (fail_fast >= 1), -- cancelled once so many tests have failed; NULL: never
    run_group         TEXT,              -- jobs that give the same one join this run (`group` in the API); NULL: nobody joins
    -- Which attempt of the CI's this is: the latest that claimed a shard. A later one, once the run is over, makes a new run.
    attempt           INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    concurrency_group TEXT,              -- what may have one active run, e.g. "environment 3"; NULL: no limit when it was registered
    protected         INTEGER NOT NULL DEFAULT 0 CHECK (protected = 0 OR protected = 1), -- 1: never superseded

    -- What its shards add up to, as the triggers count it.
    open_shards       INTEGER NOT NULL DEFAULT 0 CHECK (open_shards >= 0), -- that a runner holds, or whose runner has not stopped
    finished_shards   INTEGER NOT NULL DEFAULT 0 CHECK (finished_shards >= 0), -- that have ended or broken, carried ones included
    failed_tests      INTEGER NOT NULL DEFAULT 0 CHECK (failed_tests >= 0), -- that have failed so far, over all shards
    started_at        INTEGER,           -- the first claim
    started_by        TEXT,              -- the key's user
    ended_at          INTEGER,           -- when the last shard ended or broke
    ended_by          TEXT,              -- the user whose key claimed that shard: a finish needs no key
    counts            TEXT    CHECK (counts IS NULL OR json_valid(counts)),     -- {total, success, failed, skipped, flaky}

    -- Who stopped it, why and when. Written once, by the UPDATE that decides, and never again.
    cancelled_at      INTEGER,           -- when
    cancel_reason     TEXT,              -- what the caller said, or what the system says; NULL: nothing was said
    cancel_cause      TEXT,              -- what brought it about: user, stale, superseded or fail_fast
    cancel_by         TEXT,              -- the key's user, or "system:sweeper" and the like
    cancel_request_id TEXT,              -- the request, tick, registration or shard that cancelled it
    cancel_request_hash TEXT,            -- its hash
    superseded_by     INTEGER,           -- the newer run that took its place

    -- The stop record: whether the runners have really stopped. Apart from `state`, so that no run hangs in "cancelling".
    -- It is the worst of its shards', and closes when all of them have.
    -- never_started  no runner held any of it when it was cancelled
    -- stopping       a runner was told, or will be at its next heartbeat
    -- graceful       the runners confirmed: the tests ended by themselves, on SIGINT
    -- terminated     one took SIGTERM
    -- killed         one had to be killed
    -- lost           a lease ran out without a word
    stop_outcome      TEXT,
    stop_closed_at    INTEGER,           -- when the last runner confirmed, or was given up as lost; NULL: neither
    kill_at           INTEGER,           -- when someone ordered SIGKILL at once
    kill_by           TEXT,              -- the key's user
    kill_request_id   TEXT,              -- the request
    late_at           INTEGER,           -- when a runner that was taken for lost said how its tests had ended (run_shards.late_result)

    -- Its state as long as it is not over; NULL from then on. What a cancel can reach, and what the sweeper looks at.
    -- (Written so that SQLite compares, and does not look the state up in a list, which D1 bills as a row.)
    open_state        TEXT
        GENERATED ALWAYS AS (CASE state WHEN 'pending' THEN state WHEN 'queued' THEN state WHEN 'started' THEN state END) VIRTUAL,

    -- The concurrency group that it waits for, holds or has not yet let go of: as long as it is not over, or its runners
    -- are still stopping.
    active_group      TEXT
        GENERATED ALWAYS AS (CASE WHEN open_state IS NOT NULL OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL,

    -- The concurrency group that its runners hold, so that no other run of it can be claimed.
    held_group        TEXT
        GENERATED ALWAYS AS (CASE WHEN state = 'started' OR stop_outcome = 'stopping' THEN concurrency_group END) VIRTUAL,

    -- Who set it off: the GitHub account or, without one, the key's user.
    actor             TEXT    GENERATED ALWAYS AS (coalesce(github_actor, created_by)) VIRTUAL,

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

-- One for each filter of the list that has its own. Every index of a rowid table ends in the id, so each also gives newest
-- first. There is none for states that are over: nearly every run is in one.
CREATE UNIQUE INDEX runs_by_request     ON runs (request_id);
CREATE INDEX        runs_by_project     ON runs (project_id);
CREATE INDEX        runs_by_branch      ON runs (project_id, branch) WHERE branch IS NOT NULL;
CREATE INDEX        runs_by_environment ON runs (project_id, environment_id);
CREATE INDEX        runs_by_actor       ON runs (project_id, actor);
CREATE INDEX        runs_by_result      ON runs (project_id, result) WHERE result IS NOT NULL;

-- The cancelled runs in the order of their cancels.
CREATE INDEX        runs_by_cancel      ON runs (project_id, cancelled_at) WHERE cancelled_at IS NOT NULL;

-- The run that a job joins: of an attempt of a group there is one.
CREATE UNIQUE INDEX runs_by_run_group   ON runs (project_id, run_group, attempt) WHERE run_group IS NOT NULL;

-- The runs that are not over: for the sweeper, for bulk cancels and for the list.
CREATE INDEX runs_open     ON runs (open_state, project_id) WHERE open_state IS NOT NULL;
-- The runs whose runners are still stopping: for the sweeper.
CREATE INDEX runs_stopping ON runs (cancelled_at) WHERE stop_outcome = 'stopping';

-- The concurrency limits.
CREATE INDEX runs_by_active_group ON runs (project_id, active_group) WHERE active_group IS NOT NULL;
CREATE INDEX runs_by_held_group   ON runs (project_id, held_group)   WHERE held_group IS NOT NULL;
-- What a run took the place of.
CREATE INDEX runs_by_successor    ON runs (superseded_by)            WHERE superseded_by IS NOT NULL;

-- A shard of a run, from its claim on: one that no runner has claimed has no row. Each has a lease of its own; the cancel
-- decides on the run's row and reaches them all, so that a shard is stopping is not stored: it is an open shard of a
-- cancelled run.
CREATE TABLE run_shards (
    run_id              INTEGER NOT NULL, -- the run
    shard               INTEGER NOT NULL CHECK (shard >= 1), -- from 1 to the run's total_shards

    -- started    open: a runner holds its lease, or has not stopped yet
    -- ended      closed: finished, `result` says how
    -- error      closed: broke, `error_code` says how
    -- cancelled  closed: its run was cancelled, `stop_outcome` says how its runner stopped
    state               TEXT    NOT NULL,
    result              TEXT,             -- passed or failed; with `ended` only
    error_code          TEXT,             -- how it broke; with `error` only
    counts              TEXT    CHECK (counts IS NULL OR json_valid(counts)), -- as in runs; the last that its runner said
    failed              INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0), -- tests that have failed so far

    -- The lease: who runs it, and until when we believe that without hearing more. Only its token can renew or finish.
    runner              TEXT,             -- the runner's name, if given
    lease_token         TEXT,             -- the fence: heartbeat and finish must carry it; NULL: carried
    lease_renewed_at    INTEGER,          -- the claim, or the last heartbeat that renewed
    lease_expires_at    INTEGER,          -- from then on the runner is silent for too long, and another may claim the shard
    started_at          INTEGER NOT NULL, -- the claim
    started_by          TEXT    NOT NULL, -- the key's user
    claim_request_id    TEXT    NOT NULL, -- the request that claimed it
    claim_request_hash  TEXT,             -- its hash
    attempt             INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1), -- which attempt of the CI's this is, as in runs

    ended_at            INTEGER,          -- when it ended or broke
    finish_request_id   TEXT,             -- the request that said so
    finish_request_hash TEXT,             -- its hash
    stop_outcome        TEXT,             -- graceful, terminated, killed or lost, as in runs; with `cancelled` only
    stop_closed_at      INTEGER,          -- when its runner confirmed, or was given up as lost
    -- What a runner that was given up as lost said afterwards: {state, result, error_code, counts, at}.
    late_result         TEXT    CHECK (late_result IS NULL OR json_valid(late_result)),
    carried             INTEGER NOT NULL DEFAULT 0 CHECK (carried = 0 OR carried = 1), -- 1: it passed in an earlier attempt

    -- What its runner said last: {total, done, failed, flaky, skipped, current}, and at most 50 of {title, file, line, message}.
    progress            TEXT    CHECK (progress IS NULL OR json_valid(progress)),
    failures            TEXT    CHECK (failures IS NULL OR (json_valid(failures) AND length(failures) <= 32768)),

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

-- A bulk cancel: which runs it chose, once, so that a repeat after a lost answer chooses no others.
CREATE TABLE bulk_cancels (
    request_id TEXT    PRIMARY KEY,      -- as in runs; "github:<delivery>" where a pull request was closed
    run_ids    TEXT    NOT NULL CHECK (json_valid(run_ids)), -- the runs that it chose, cancelled or not
    created_at INTEGER NOT NULL,         -- when
    created_by TEXT    NOT NULL,         -- the key's user
    request_hash TEXT,                   -- as in runs
    next       TEXT                      -- where the search goes on; NULL: it saw every open run
) STRICT, WITHOUT ROWID;
-- For their expiry.
CREATE INDEX bulk_cancels_by_age ON bulk_cancels (created_at);

-- The audit trail: one event for every change of state and of the stop record, written by the triggers below and by nothing
-- else. A run only ever goes forward, so the step it reached is the key: two terminal events of one run cannot exist.
CREATE TABLE run_events (
    run_id     INTEGER NOT NULL,         -- the run
    step       INTEGER NOT NULL,         -- 1 pending, 2 queued, 3 started, 4 over, 5 SIGKILL was ordered, 6 stopped, 7 late result, 8 CI cancelled
    at         INTEGER NOT NULL,         -- when
    from_state TEXT,                     -- NULL: the run was registered
    to_state   TEXT    NOT NULL,         -- the state since; from step 5 on, still `cancelled`
    cause      TEXT    NOT NULL,         -- registered, promoted, claimed, finished, the cancel's cause, kill, stopped, late_result, ci_cancelled
    by         TEXT    NOT NULL,         -- the key's user, or "system:…"
    reason     TEXT,                     -- the cancel's reason, the error's code, the stop's outcome, the workflow run, or NULL
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

-- What has closed and is not counted yet: runs that are over and, if they were cancelled, have stopped or are given up; in the
-- order in which they did. The sweeper counts them (src/sweeper/count.sql) and takes them out.
CREATE TABLE closed_runs (
    position INTEGER PRIMARY KEY,        -- grows with each
    run_id   INTEGER NOT NULL            -- the run
) STRICT;

-- What became of the runs that were over on a day (UTC), by environment and for the project as a whole: each counted once.
CREATE TABLE daily_runs (
    project_id     INTEGER NOT NULL,     -- the project
    environment_id INTEGER NOT NULL,     -- the environment; 0: all of the project's
    day            INTEGER NOT NULL,     -- days since 1970-01-01
    passed         INTEGER NOT NULL,     -- runs that ended so
    failed         INTEGER NOT NULL,
    errors         INTEGER NOT NULL,     -- that broke
    by_user        INTEGER NOT NULL,     -- that were cancelled, by cause
    by_stale       INTEGER NOT NULL,
    by_superseded  INTEGER NOT NULL,
    by_fail_fast   INTEGER NOT NULL,
    never_started  INTEGER NOT NULL,     -- and by the stop's outcome
    graceful       INTEGER NOT NULL,
    terminated     INTEGER NOT NULL,
    killed         INTEGER NOT NULL,
    lost           INTEGER NOT NULL,
    -- What cancels saved, in ms: of each run the median duration of its environment's passed runs at that time, less how long it
    -- had run, if that is more than nothing.
    saved_user       INTEGER NOT NULL,   -- those by a user
    saved_superseded INTEGER NOT NULL,   -- those by a newer run
    -- How many took how long, as an object of durations (the names are durations.from_ms) and counts.
    passed_ms      TEXT    NOT NULL CHECK (json_valid(passed_ms)), -- runs that passed, from the first claim to the end
    stop_ms        TEXT    NOT NULL CHECK (json_valid(stop_ms)),   -- stops that runners confirmed, from the cancel to the last word
    PRIMARY KEY (project_id, environment_id, day)
) STRICT, WITHOUT ROWID;

-- Where the buckets of those durations begin: each 1.25 times the one before, from 10 ms to more than a week.
CREATE TABLE durations (
    from_ms INTEGER PRIMARY KEY
) STRICT;
INSERT INTO durations (from_ms)
SELECT 0 UNION ALL
SELECT * FROM (WITH RECURSIVE n (x) AS (SELECT 10.0 UNION ALL SELECT x * 1.25 FROM n WHERE x < 604800000)
               SELECT CAST(round(x) AS INTEGER) FROM n);

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

-- What was changed behind the admin token, written by the triggers below and by nothing else. The token is one, so it does not say
-- by whom.
CREATE TABLE admin_events (
    id         INTEGER PRIMARY KEY,      -- grows with each
    at         INTEGER NOT NULL,         -- when
    what       TEXT    NOT NULL,         -- what was done, e.g. environment_disabled
    project_id INTEGER NOT NULL,         -- in which project
    subject    TEXT    NOT NULL,         -- to what: a slug, or a key's user
    detail     TEXT                      -- what else there is to say
) STRICT;

-- A webhook: an address that hears of a project's runs. Its secret is not here: it is made of the Worker's secret, the
-- webhook's id and its generation.
CREATE TABLE webhooks (
    id             INTEGER PRIMARY KEY,  -- never used again, or another webhook would have its secret
    project_id     INTEGER NOT NULL,     -- the project that it hears of
    url            TEXT    NOT NULL,     -- where to; empty once it is deleted
    events         TEXT    NOT NULL CHECK (json_valid(events)), -- an array of what it hears, e.g. run.cancelled
    environment_id INTEGER,              -- only of runs in this environment; NULL: of any
    branch         TEXT,                 -- only of runs of a branch that this GLOB pattern matches; NULL: of any
    format         TEXT    NOT NULL CHECK (format = 'standard' OR format = 'slack'), -- what is sent
    origin         TEXT    NOT NULL,     -- the service's own address as whoever created it had it: for links
    created_at     INTEGER NOT NULL,     -- when
    request_id     TEXT    NOT NULL,     -- as in projects
    request_hash   TEXT    NOT NULL,     -- as in runs
    generation     INTEGER NOT NULL DEFAULT 1 CHECK (generation >= 1), -- counts its secrets
    previous_until INTEGER,              -- until then what is sent is signed with the secret before, too
    rotate_request_id   TEXT,            -- the request that changed the secret last
    rotate_request_hash TEXT,            -- its hash
    changed_at     INTEGER,              -- when an admin last changed it
    failing_since  INTEGER,              -- the first failure since it last worked; NULL: it works
    disabled_at    INTEGER,              -- since when it is switched off; NULL: it is on
    -- admin    an admin switched it off
    -- gone     it answered 410 (Gone)
    -- failing  it failed for five days
    disabled_why   TEXT,
    deleted_at     INTEGER,              -- when it was deleted
    -- check_runs  not a webhook of anybody's: writes the project's runs to GitHub, as check runs
    -- cancel_ci   the same: cancels the workflow run of a run at GitHub
    -- NULL        a webhook
    github         TEXT CHECK (github IS NULL OR github = 'check_runs' OR github = 'cancel_ci'),
    -- Of these two, how an attempt failed last: {at, status, failure, answer}.
    last_failure   TEXT CHECK (last_failure IS NULL OR json_valid(last_failure)),
    CHECK ((disabled_at IS NULL) = (disabled_why IS NULL))
) STRICT;
CREATE INDEX webhooks_by_project ON webhooks (project_id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_by_request ON webhooks (request_id);

-- The outbox: what a webhook hears, one row for each event and webhook. The trigger runs_deliver writes it in the very
-- transaction that changes the run, so that nothing is lost and nothing is made up.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    webhook_id   INTEGER NOT NULL,       -- to whom
    run_id       INTEGER,                -- of which run; NULL: a test
    step         INTEGER NOT NULL,       -- as in run_events: what a run goes through comes in this order; 0: a test
    event        TEXT    NOT NULL,       -- run.started, run.cancelled, run.stopped, run.ended, run.error or test
    message_id   TEXT    NOT NULL,       -- the same with every attempt, so that the receiver knows it again
    data         TEXT    NOT NULL CHECK (json_valid(data)), -- the run as it was then
    at           INTEGER NOT NULL,       -- when that was
    created_at   INTEGER NOT NULL,       -- when this was written
    redelivers   INTEGER,                -- the delivery that an admin had sent once more
    request_id   TEXT,                   -- of a test or a redelivery: the request
    request_hash TEXT,                   -- its hash

    -- waiting    an earlier event of the run has not been delivered or given up
    -- due        there is an attempt to come
    -- delivered  the receiver answered 2xx
    -- failed     given up
    state        TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'due' OR state = 'delivered' OR state = 'failed'),
    -- When the next attempt is due; while one is under way, when it is taken for lost.
    due_at       INTEGER,
    fresh        INTEGER NOT NULL DEFAULT 0 CHECK (fresh = 0 OR fresh = 1), -- 1: goes out at once, before the next tick
    attempts     INTEGER NOT NULL DEFAULT 0, -- begun so far; also the fence of what is recorded of one
    attempted_at INTEGER,                -- when the last one ended
    status       INTEGER,                -- its HTTP status; NULL: there was no answer
    failure      TEXT,                   -- why it failed: status, redirect, timeout, unreachable or switched_off
    answer       TEXT,                   -- the beginning of its answer

    CHECK ((state = 'due') = (due_at IS NOT NULL)),
    CHECK (fresh = 0 OR state = 'due')
) STRICT;
-- The events of a run for a webhook, each once.
CREATE UNIQUE INDEX deliveries_by_event ON deliveries (webhook_id, run_id, step) WHERE redelivers IS NULL;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id);
CREATE INDEX deliveries_due        ON deliveries (webhook_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_fresh      ON deliveries (fresh) WHERE fresh = 1;
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (request_id) WHERE request_id IS NOT NULL;

-- The check run that GitHub has of a run.
CREATE TABLE check_runs (
    run_id       INTEGER PRIMARY KEY,    -- the run
    check_run_id INTEGER NOT NULL,       -- GitHub's id
    repo_name    TEXT    NOT NULL        -- in this repository
) STRICT;

-- The projects of all databases: their ids and slugs are given here. That of DB counts, and no other is used.
CREATE TABLE project_directory (
    id         INTEGER PRIMARY KEY,      -- the project's
    slug       TEXT    NOT NULL UNIQUE,  -- its slug
    bucket     TEXT    NOT NULL,         -- the bucket that it lives in
    request_id TEXT    NOT NULL          -- the request that made it, as in projects
) STRICT;
CREATE INDEX project_directory_by_request ON project_directory (request_id);

-- Where buckets are, as far as this database knows. One without a row lives in DB, and nowhere else.
CREATE TABLE buckets (
    bucket     TEXT    PRIMARY KEY CHECK (length(bucket) = 2 AND bucket NOT GLOB '*[^0-9a-z]*'),
    -- here      it lives here
    -- leaving   it lives here, but is being copied: nothing of it is read or written
    -- arriving  it is being copied to here, and nobody uses what has come so far
    -- moved     it lives in another database
    state      TEXT    NOT NULL CHECK (state IN ('here', 'leaving', 'arriving', 'moved')),
    moved_to   INTEGER,                  -- leaving, moved: the number of the database that it goes to, or went to
    moved_from INTEGER,                  -- arriving: the number of the database that it comes from
    since      INTEGER NOT NULL,         -- when
    progress   TEXT CHECK (progress IS NULL OR json_valid(progress)), -- how far the move is, as src/moving has it
    -- 1: there are rows of its projects here that are not to be used: it is leaving or arriving, or has moved and was not removed yet
    frozen     INTEGER NOT NULL CHECK (frozen = 0 OR frozen = 1),
    CHECK ((state = 'leaving' OR state = 'moved') = (moved_to IS NOT NULL)),
    CHECK ((state = 'arriving') = (moved_from IS NOT NULL)),
    CHECK (frozen = 0 OR state <> 'here')
) STRICT, WITHOUT ROWID;
CREATE INDEX buckets_frozen ON buckets (frozen) WHERE frozen = 1;

-- The projects that nobody may touch here. Few: buckets move one at a time.
CREATE VIEW frozen_projects AS
SELECT p.id AS project_id, b.state FROM buckets b INDEXED BY buckets_frozen CROSS JOIN projects p ON p.bucket = b.bucket WHERE b.frozen = 1;

-- What waits to be counted, of the first 1,000 what is of no project that is being moved.
CREATE VIEW countable_runs AS
SELECT c.position, c.run_id
  FROM (SELECT position, run_id FROM closed_runs ORDER BY position LIMIT 1000) c
 WHERE NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = (SELECT project_id FROM runs WHERE id = c.run_id));

-- Which of the service's databases this is. No row: DB, from which no bucket has moved.
CREATE TABLE this_database (
    only_row         INTEGER PRIMARY KEY CHECK (only_row = 1), -- there is one row at most
    number           INTEGER NOT NULL CHECK (number BETWEEN 0 AND 511), -- n: it is bound as DB_n, and its new ids come after n × 2^44
    -- New ids come after these: those of the databases before this one, and those that moved away.
    last_run         INTEGER NOT NULL,
    last_environment INTEGER NOT NULL,
    last_key         INTEGER NOT NULL
) STRICT;

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
    run_id, shard, state, result, error_code, counts, failed, progress, failures, lease_renewed_at, lease_expires_at,
    ended_at, finish_request_id, finish_request_hash, stop_outcome, stop_closed_at ON run_shards
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
-- passed, all are run again; of another environment or another number of shards, none is the same.
CREATE TRIGGER runs_carry AFTER INSERT ON runs
WHEN NEW.run_group IS NOT NULL AND NEW.attempt > 1
BEGIN
    INSERT INTO run_shards (run_id, shard, state, result, counts, failed, runner, started_at, started_by, claim_request_id,
                            attempt, ended_at, finish_request_id, carried)
    SELECT NEW.id, s.shard, s.state, s.result, s.counts, s.failed, s.runner, s.started_at, s.started_by, s.claim_request_id,
           s.attempt, s.ended_at, s.finish_request_id, 1
      FROM (SELECT id, result, environment_id, total_shards FROM runs
             WHERE project_id = NEW.project_id AND run_group = NEW.run_group AND attempt < NEW.attempt
             ORDER BY attempt DESC LIMIT 1) r
     CROSS JOIN run_shards s ON s.run_id = r.id
     WHERE r.result IS NOT 'passed' AND s.result = 'passed'
       AND r.environment_id = NEW.environment_id AND r.total_shards = NEW.total_shards;
    UPDATE runs SET version = version + 1, finished_shards = changes(),
                    failed_tests = (SELECT sum(failed) FROM run_shards WHERE run_id = NEW.id)
     WHERE id = NEW.id AND changes() > 0;
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

CREATE TRIGGER environments_are_kept BEFORE DELETE ON environments
BEGIN
    SELECT RAISE(ABORT, 'an environment is never deleted');
END;

-- A key opens one project, to one user, for good, and is revoked for good. Of those that let the same person into the same project,
-- one is not revoked at most.
CREATE TRIGGER keys_are_made_once BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE hash = NEW.hash) OR EXISTS (SELECT 1 FROM keys WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM keys WHERE request_id = NEW.request_id)
  OR EXISTS (SELECT 1 FROM keys WHERE access = NEW.access AND project_id = NEW.project_id AND revoked_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'a key is made once');
END;
CREATE TRIGGER keys_stand AFTER UPDATE OF
    id, project_id, user, hash, can_read, can_cancel, can_run, created_at, expires_at, request_id, request_hash,
    salt, access, granted_by ON keys
BEGIN
    SELECT RAISE(ABORT, 'a key never changes');
END;
CREATE TRIGGER keys_are_revoked_for_good AFTER UPDATE OF revoked_at ON keys
WHEN OLD.revoked_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a revoked key stays revoked');
END;
-- A person who comes in by the company's account acts by their own address, and the row of their domain lets in its people and
-- nobody else. Revoking that row revokes theirs, too.
CREATE TRIGGER keys_of_people AFTER INSERT ON keys
WHEN NEW.access IS NOT NULL OR NEW.granted_by IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a person acts by their own address') WHERE NEW.user IS NOT NEW.access;
    SELECT RAISE(ABORT, 'a person is let in by the row of their domain')
     WHERE NEW.granted_by IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM keys d
                        WHERE d.id = NEW.granted_by AND d.project_id = NEW.project_id
                          AND d.access = substr(NEW.access, instr(NEW.access, '@')) AND d.access <> NEW.access
                          AND d.valid_until > NEW.created_at AND d.expires_at IS NEW.expires_at
                          AND d.can_read = NEW.can_read AND d.can_cancel = NEW.can_cancel AND d.can_run = NEW.can_run);
END;
CREATE TRIGGER keys_revoke_whom_they_let_in AFTER UPDATE OF revoked_at ON keys
WHEN NEW.revoked_at IS NOT NULL AND OLD.revoked_at IS NULL AND substr(NEW.access, 1, 1) = '@'
BEGIN
    UPDATE keys SET revoked_at = NEW.revoked_at WHERE granted_by = NEW.id AND revoked_at IS NULL;
END;
CREATE TRIGGER keys_are_kept BEFORE DELETE ON keys
BEGIN
    SELECT RAISE(ABORT, 'a key is never deleted');
END;

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
CREATE TRIGGER run_shards_are_kept BEFORE DELETE ON run_shards
WHEN EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id)
BEGIN
    SELECT RAISE(ABORT, 'a shard is deleted with its run');
END;
CREATE TRIGGER run_events_are_kept BEFORE DELETE ON run_events
WHEN EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id)
BEGIN
    SELECT RAISE(ABORT, 'an event is deleted with its run');
END;
CREATE TRIGGER run_events_stand BEFORE UPDATE ON run_events
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;
-- An event says what its run has just become, once: one that is forged would stand in the true one's way.
CREATE TRIGGER run_events_are_true BEFORE INSERT ON run_events
WHEN NEW.step <> CASE WHEN NEW.from_state = NEW.to_state
                      THEN CASE NEW.cause WHEN 'kill' THEN 5 WHEN 'stopped' THEN 6 WHEN 'ci_cancelled' THEN 8 ELSE 7 END
                      WHEN NEW.to_state = 'pending' THEN 1 WHEN NEW.to_state = 'queued' THEN 2
                      WHEN NEW.to_state = 'started' THEN 3 ELSE 4 END
  OR EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND step = NEW.step)
  OR (SELECT CASE WHEN NEW.step = 5 AND kill_at IS NULL OR NEW.step = 6 AND stop_closed_at IS NULL
                    OR NEW.step = 7 AND late_at IS NULL
                    OR NEW.step = 8 AND NOT EXISTS (SELECT 1 FROM webhooks w CROSS JOIN deliveries d ON d.webhook_id = w.id
                                                     WHERE w.request_id = 'github:cancel_ci:' || runs.project_id AND d.run_id = runs.id
                                                       AND d.redelivers IS NULL AND d.state = 'delivered' AND d.status = 202)
                  THEN NULL ELSE state END
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

-- What an admin does; that a domain's row lets somebody in, or is revoked with all whom it let in, is no more than that row says. A
-- change that comes with no new changed_at, by hand in a console, has the database's own time.
CREATE TRIGGER projects_created AFTER INSERT ON projects
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'project_created', NEW.id, NEW.slug, NEW.name);
END;
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
CREATE TRIGGER environments_created AFTER INSERT ON environments
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'environment_created', NEW.project_id, NEW.slug, NEW.name);
END;
CREATE TRIGGER environments_changed AFTER UPDATE OF name, disabled ON environments
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT iif(NEW.changed_at IS NOT OLD.changed_at, NEW.changed_at, unixepoch() * 1000), c.what, NEW.project_id, NEW.slug, c.detail
      FROM (SELECT 'environment_renamed' AS what, OLD.name || ' → ' || NEW.name AS detail WHERE NEW.name <> OLD.name
            UNION ALL
            SELECT iif(NEW.disabled, 'environment_disabled', 'environment_enabled'), NULL WHERE NEW.disabled <> OLD.disabled) c;
END;
CREATE TRIGGER keys_created AFTER INSERT ON keys
WHEN NEW.granted_by IS NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, iif(NEW.access IS NULL, 'key_created', 'person_admitted'), NEW.project_id, NEW.user,
            'key ' || NEW.id || ', ' || NEW.name || ': ' || substr(iif(NEW.can_read, ', read', '') || iif(NEW.can_cancel, ', cancel', '')
                                                                   || iif(NEW.can_run, ', run', ''), 3));
END;
CREATE TRIGGER keys_revoked AFTER UPDATE OF revoked_at ON keys
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL
 AND (SELECT revoked_at FROM keys WHERE id = NEW.granted_by) IS NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.revoked_at, 'key_revoked', NEW.project_id, NEW.user, 'key ' || NEW.id || ', ' || NEW.name);
END;
CREATE TRIGGER admin_events_are_kept BEFORE DELETE ON admin_events
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted');
END;
CREATE TRIGGER admin_events_stand BEFORE UPDATE ON admin_events
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;

-- What the project's webhooks hear, each that is on and whose filters match. To GitHub goes only what there is to write: of a run
-- that has a commit and was started; and whose workflow run goes on although nobody stops it.
CREATE TRIGGER runs_deliver AFTER UPDATE OF state, stop_closed_at ON runs
WHEN (NEW.state <> OLD.state AND NEW.state <> 'queued') OR NEW.stop_closed_at IS NOT OLD.stop_closed_at
BEGIN
    INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state, due_at, fresh)
    SELECT id, NEW.id, step, event, 'msg_' || lower(hex(randomblob(16))), (SELECT test_run FROM listed_runs WHERE id = NEW.id),
           at, at, iif(waits, 'waiting', 'due'), iif(waits, NULL, at), NOT waits AND works
      FROM (SELECT w.id, w.failing_since IS NULL AS works,
                   CASE WHEN NEW.state = OLD.state THEN 6 WHEN NEW.state = 'started' THEN 3 ELSE 4 END AS step,
                   CASE WHEN NEW.state = OLD.state THEN 'run.stopped' ELSE 'run.' || NEW.state END AS event,
                   CASE WHEN NEW.state = OLD.state THEN NEW.stop_closed_at WHEN NEW.state = 'started' THEN NEW.started_at
                        WHEN NEW.state = 'cancelled' THEN NEW.cancelled_at ELSE NEW.ended_at END AS at,
                   EXISTS (SELECT 1 FROM deliveries d
                            WHERE d.webhook_id = w.id AND d.run_id = NEW.id AND d.redelivers IS NULL
                              AND (d.state = 'due' OR d.state = 'waiting')) AS waits
              FROM webhooks w
             WHERE w.project_id = NEW.project_id AND w.deleted_at IS NULL AND w.disabled_at IS NULL
               AND (w.environment_id IS NULL OR w.environment_id = NEW.environment_id)
               AND (w.branch IS NULL OR NEW.branch GLOB w.branch)
               AND instr(w.events, iif(NEW.state = OLD.state, '"run.stopped"', '"run.' || NEW.state || '"')) > 0
               AND CASE w.github
                       WHEN 'check_runs' THEN NEW.started_at IS NOT NULL AND (NEW.state <> OLD.state OR NEW.stop_outcome = 'lost')
                           AND length(NEW.build ->> '$.commit') = 40 AND NEW.build ->> '$.commit' NOT GLOB '*[^0-9A-Fa-f]*'
                       -- Not if what took its place is in the same workflow run.
                       WHEN 'cancel_ci' THEN (NEW.stop_outcome = 'lost' OR NEW.stop_outcome = 'never_started')
                           AND NEW.build ->> '$.url' GLOB '*/actions/runs/[1-9]*'
                           AND NEW.build ->> '$.url' IS NOT (SELECT build ->> '$.url' FROM runs WHERE id = NEW.superseded_by)
                       ELSE 1 END);
END;

-- A project has ten webhooks at most: each is written to with every change of a run.
CREATE TRIGGER webhooks_are_few AFTER INSERT ON webhooks
WHEN NEW.github IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a project has ten webhooks at most')
     WHERE (SELECT count(*) FROM webhooks WHERE project_id = NEW.project_id AND deleted_at IS NULL AND github IS NULL) > 10;
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.created_at, 'webhook_created', NEW.project_id, 'webhook ' || NEW.id, NEW.format);
END;
-- Neither the address nor the secret: who has that of a Slack webhook can write to its channel.
CREATE TRIGGER webhooks_changed AFTER UPDATE OF
    url, events, environment_id, branch, format, generation, disabled_at, deleted_at ON webhooks
WHEN NEW.github IS NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    SELECT CASE c.what WHEN 'webhook_deleted' THEN NEW.deleted_at WHEN 'webhook_switched_off' THEN NEW.disabled_at
                       ELSE coalesce(NEW.changed_at, NEW.created_at) END,
           c.what, NEW.project_id, 'webhook ' || NEW.id, c.detail
      FROM (SELECT 'webhook_deleted' AS what, NULL AS detail WHERE NEW.deleted_at IS NOT OLD.deleted_at
            UNION ALL
            SELECT 'webhook_changed', NULL
             WHERE NEW.deleted_at IS NULL
               AND (NEW.url <> OLD.url OR NEW.events <> OLD.events OR NEW.environment_id IS NOT OLD.environment_id
                    OR NEW.branch IS NOT OLD.branch OR NEW.format <> OLD.format)
            UNION ALL
            SELECT 'webhook_secret_changed', NULL WHERE NEW.generation <> OLD.generation
            UNION ALL
            SELECT 'webhook_switched_off', NEW.disabled_why WHERE OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL
            UNION ALL
            SELECT 'webhook_switched_on', NULL WHERE OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS NULL) c;
END;
-- Check runs and the cancelling of CI are settings of their project, and stay what they are.
CREATE TRIGGER github_turned_on AFTER INSERT ON webhooks
WHEN NEW.github IS NOT NULL
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject)
    VALUES (NEW.created_at, NEW.github || '_turned_on', NEW.project_id, (SELECT slug FROM projects WHERE id = NEW.project_id));
END;
CREATE TRIGGER github_turned_on_or_off AFTER UPDATE OF disabled_at, deleted_at ON webhooks
WHEN NEW.github IS NOT NULL
 AND (NEW.disabled_at IS NULL AND NEW.deleted_at IS NULL) <> (OLD.disabled_at IS NULL AND OLD.deleted_at IS NULL)
BEGIN
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (coalesce(NEW.deleted_at, NEW.disabled_at, NEW.changed_at),
            NEW.github || iif(NEW.disabled_at IS NULL AND NEW.deleted_at IS NULL, '_turned_on', '_turned_off'),
            NEW.project_id, (SELECT slug FROM projects WHERE id = NEW.project_id), NEW.disabled_why);
END;
CREATE TRIGGER webhooks_are_kept BEFORE DELETE ON webhooks
BEGIN
    SELECT RAISE(ABORT, 'a webhook is only marked as deleted');
END;
CREATE TRIGGER webhooks_stay AFTER UPDATE OF github, project_id ON webhooks
BEGIN
    SELECT RAISE(ABORT, 'a webhook stays what it is');
END;

-- An attempt has ended: the webhook works, or fails since then. One that is gone, or fails for five days, is switched off.
CREATE TRIGGER deliveries_attempted AFTER UPDATE OF attempted_at ON deliveries
BEGIN
    UPDATE webhooks SET failing_since = NULL
     WHERE id = NEW.webhook_id AND NEW.state = 'delivered' AND failing_since IS NOT NULL;
    UPDATE webhooks
       SET failing_since = coalesce(failing_since, NEW.attempted_at),
           (disabled_at, disabled_why) =
               (SELECT NEW.attempted_at, iif(NEW.status = 410, 'gone', 'failing')
                 WHERE NEW.status = 410 OR NEW.attempted_at - failing_since >= 432000000)
     WHERE id = NEW.webhook_id AND NEW.state <> 'delivered' AND disabled_at IS NULL
       AND (failing_since IS NULL OR NEW.status = 410 OR NEW.attempted_at - failing_since >= 432000000);
    UPDATE webhooks
       SET last_failure = json_object('at', strftime('%Y-%m-%dT%H:%M:%fZ', NEW.attempted_at / 1000.0, 'unixepoch'),
                                      'status', NEW.status, 'failure', NEW.failure, 'answer', substr(NEW.answer, 1, 1000))
     WHERE id = NEW.webhook_id AND NEW.failure IS NOT NULL AND github IS NOT NULL;
END;
-- An event is delivered or given up: the next one of its run may go.
CREATE TRIGGER deliveries_release AFTER UPDATE OF state ON deliveries
WHEN OLD.state = 'due' AND NEW.state <> 'due' AND NEW.redelivers IS NULL
BEGIN
    UPDATE deliveries SET state = 'due', due_at = coalesce(NEW.attempted_at, created_at), fresh = 1
     WHERE id = (SELECT id FROM deliveries
                  WHERE webhook_id = NEW.webhook_id AND run_id = NEW.run_id AND redelivers IS NULL AND state = 'waiting'
                  ORDER BY step LIMIT 1);
END;

-- GitHub has taken the order to cancel a workflow run.
CREATE TRIGGER deliveries_cancelled_ci AFTER UPDATE OF state ON deliveries
WHEN NEW.state = 'delivered' AND OLD.state = 'due' AND NEW.status = 202
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
    SELECT NEW.run_id, 8, NEW.attempted_at, 'cancelled', 'cancelled', 'ci_cancelled', 'system:github',
           p.github_repo || ' ' || s.workflow_run
      FROM webhooks w
     CROSS JOIN projects p ON p.id = w.project_id
     CROSS JOIN workflow_runs s ON s.delivery_id = NEW.id
     WHERE w.id = NEW.webhook_id AND w.github = 'cancel_ci' AND EXISTS (SELECT 1 FROM runs WHERE id = NEW.run_id)
       AND NOT EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND step = 8);
END;

-- A run is over and has stopped, once: it can be counted.
CREATE TRIGGER runs_closed AFTER UPDATE OF state, stop_outcome ON runs
WHEN NEW.open_state IS NULL AND NEW.stop_outcome IS NOT 'stopping'
 AND (OLD.open_state IS NOT NULL OR OLD.stop_outcome IS 'stopping')
BEGIN
    INSERT INTO closed_runs (run_id) VALUES (NEW.id);
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

-- What is told of runs, and always in the same words. The views are the Worker's own: no client sees a column of them.

CREATE TRIGGER projects_stay_in_their_bucket AFTER UPDATE OF id, bucket ON projects
BEGIN
    SELECT RAISE(ABORT, 'a project stays in its bucket');
END;
CREATE TRIGGER this_database_stays AFTER UPDATE ON this_database
WHEN NEW.number <> OLD.number OR NEW.last_run < OLD.last_run OR NEW.last_environment < OLD.last_environment OR NEW.last_key < OLD.last_key
BEGIN
    SELECT RAISE(ABORT, 'a database keeps its number, and no id is given twice');
END;
-- Of what the schema itself numbers, a row of nobody's makes the next ids come after it.
CREATE TRIGGER this_database_numbers AFTER INSERT ON this_database
WHEN NEW.number > 0
BEGIN
    INSERT INTO admin_events (id, at, what, project_id, subject) VALUES (NEW.last_run, 0, 'database_added', 0, 'DB_' || NEW.number);
    INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash, deleted_at)
    VALUES (NEW.last_run, 0, '', '[]', 'standard', '', 0, 'database:' || NEW.number, '', 0);
    INSERT INTO deliveries (id, webhook_id, step, event, message_id, data, at, created_at, state)
    VALUES (NEW.last_run, 0, 0, 'test', '', '{}', 0, 0, 'failed');
END;

-- When a bucket moves away, no id that it has is given again: the floors rise, and rows of nobody's keep the greatest numbers of what the
-- schema itself numbers.
CREATE TRIGGER buckets_move_away AFTER UPDATE OF state ON buckets
WHEN NEW.state = 'moved' AND OLD.state = 'leaving'
BEGIN
    INSERT INTO this_database (only_row, number, last_run, last_environment, last_key)
    SELECT 1, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM this_database);
    UPDATE this_database
       SET last_run = max(last_run, coalesce((SELECT max(id) FROM runs), 0)),
           last_environment = max(last_environment, coalesce((SELECT max(id) FROM environments), 0)),
           last_key = max(last_key, coalesce((SELECT max(id) FROM keys), 0));
    INSERT INTO deliveries (id, webhook_id, step, event, message_id, data, at, created_at, state)
    SELECT id + 1, 0, 0, 'test', '', '{}', 0, 0, 'failed' FROM deliveries
     WHERE id = (SELECT max(id) FROM deliveries) AND webhook_id <> 0;
    INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash, deleted_at)
    SELECT id + 1, 0, '', '[]', 'standard', '', 0, 'bucket:' || (id + 1), '', 0 FROM webhooks
     WHERE id = (SELECT max(id) FROM webhooks) AND project_id <> 0;
    INSERT INTO admin_events (at, what, project_id, subject, detail)
    VALUES (NEW.since, 'bucket_moved', 0, NEW.bucket, 'to database ' || NEW.moved_to);
END;

CREATE TRIGGER projects_are_in_the_directory AFTER INSERT ON projects
WHEN NOT EXISTS (SELECT 1 FROM this_database WHERE number > 0)
 AND NOT EXISTS (SELECT 1 FROM project_directory WHERE id = NEW.id AND slug = NEW.slug AND bucket = NEW.bucket)
BEGIN
    INSERT INTO project_directory (id, slug, bucket, request_id) VALUES (NEW.id, NEW.slug, NEW.bucket, NEW.request_id);
END;

-- Whatever statement comes, nothing of a bucket changes that moves. What guards each request is src/database/check_bucket.sql;
-- the sweeper, the archive and the webhooks leave these projects out.
CREATE TRIGGER runs_stand_while_they_move AFTER UPDATE ON runs
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER runs_begin_where_they_live AFTER INSERT ON runs
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER projects_stand_while_they_move AFTER UPDATE ON projects
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER environments_stand_while_they_move AFTER UPDATE ON environments
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER environments_begin_where_they_live AFTER INSERT ON environments
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER keys_stand_while_they_move AFTER UPDATE ON keys
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER keys_begin_where_they_live AFTER INSERT ON keys
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER webhooks_stand_while_they_move AFTER UPDATE ON webhooks
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;
CREATE TRIGGER webhooks_begin_where_they_live AFTER INSERT ON webhooks
WHEN EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'the bucket is being moved');
END;

-- A run as `show`, lists and the hub have it: the JSON of the contract's TestRun, without its shards. D1 takes at most 32
-- arguments for a function, so json_set adds the rest. And the order for its runners, while there is something to stop: a
-- StopOrder but for the grace, which is a setting.
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

-- What a change of a run has to tell the hub: {project, runs: [{id, version, run, stop}], deliveries}. Beside the run itself these are the runs of its concurrency
-- group, which triggers may have changed with it, and those that it took the place of. There are few: a group has one run that
-- holds it and one that waits. The long JSON of listed_runs stands here once: SQLite compiles a view anew wherever it is named,
-- which took 2 ms of a cancel when it stood here four times.
-- `deliveries` is 1 if some are to go out at once.
CREATE VIEW changed_runs AS
SELECT r.*,
       json_object('project', r.project_id, 'runs', json((
           SELECT json_group_array(json_object('id', t.id, 'version', t.version, 'run', json(t.test_run), 'stop', json(t.stop_order)))
             FROM (SELECT r.id AS id
                    UNION ALL
                   SELECT o.id FROM runs o WHERE o.project_id = r.project_id AND o.active_group = r.concurrency_group AND o.id <> r.id
                    UNION ALL
                   SELECT o.id FROM runs o WHERE o.superseded_by = r.id AND o.active_group IS NULL) c
            CROSS JOIN listed_runs t ON t.id = c.id)),
           'deliveries', EXISTS (SELECT 1 FROM deliveries WHERE fresh = 1)) AS news
  FROM runs r;

-- A webhook as its routes have it: the JSON of the contract's Webhook.
CREATE VIEW shown_webhooks AS
SELECT w.*,
       json_object(
           'id', w.id, 'project_id', w.project_id, 'url', w.url, 'events', json(w.events),
           'environment', (SELECT e.slug FROM environments e WHERE e.id = w.environment_id), 'branch', w.branch,
           'format', w.format, 'disabled', json(iif(w.disabled_at IS NULL, 'false', 'true')), 'disabled_why', w.disabled_why,
           'disabled_at', strftime('%Y-%m-%dT%H:%M:%fZ', w.disabled_at / 1000.0, 'unixepoch'),
           'failing_since', strftime('%Y-%m-%dT%H:%M:%fZ', w.failing_since / 1000.0, 'unixepoch'),
           'previous_secret_until', strftime('%Y-%m-%dT%H:%M:%fZ', w.previous_until / 1000.0, 'unixepoch'),
           'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch')) AS webhook
  FROM webhooks w;

-- A delivery as its routes have it: the JSON of the contract's Delivery.
CREATE VIEW shown_deliveries AS
SELECT d.*,
       json_object(
           'id', d.id, 'webhook_id', d.webhook_id, 'test_run', d.run_id, 'event', d.event, 'message_id', d.message_id,
           'at', strftime('%Y-%m-%dT%H:%M:%fZ', d.at / 1000.0, 'unixepoch'),
           'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', d.created_at / 1000.0, 'unixepoch'), 'redelivers', d.redelivers,
           'state', d.state, 'next_attempt_at', strftime('%Y-%m-%dT%H:%M:%fZ', d.due_at / 1000.0, 'unixepoch'),
           'attempts', d.attempts, 'attempted_at', strftime('%Y-%m-%dT%H:%M:%fZ', d.attempted_at / 1000.0, 'unixepoch'),
           'status', d.status, 'failure', d.failure, 'answer', d.answer) AS delivery
  FROM deliveries d;

-- The number of the workflow run that a delivery is about, as whoever registered the run wrote it into build.url. Nothing else of
-- that address counts: the repository is the one that an admin set.
CREATE VIEW workflow_runs AS
SELECT d.id AS delivery_id, CAST(substr(d.url, instr(d.url, '/actions/runs/') + 14) AS INTEGER) AS workflow_run
  FROM (SELECT id, data ->> '$.build.url' AS url FROM deliveries) d;

-- A delivery as it is sent, but for the number of the attempt: to whom, what, and what a sentence for Slack or at
-- GitHub tells of it.
CREATE VIEW sent_deliveries AS
SELECT d.id,
       json_object(
           'id', d.id, 'webhook_id', d.webhook_id, 'url', w.url, 'generation', w.generation, 'previous_until', w.previous_until,
           'event', d.event, 'message_id', d.message_id,
           'at', strftime('%Y-%m-%dT%H:%M:%fZ', d.at / 1000.0, 'unixepoch'), 'data', json(d.data),
           'told', json(CASE WHEN w.format = 'slack' OR w.github IS NOT NULL THEN json_object(
               'origin', w.origin, 'run', d.run_id, 'environment', d.data ->> '$.environment.name',
               'branch', d.data ->> '$.test_run_branch', 'started_by', d.data ->> '$.started_by',
               'result', d.data ->> '$.result', 'error_code', d.data ->> '$.error_code',
               'failed', d.data ->> '$.counts.failed', 'total', d.data ->> '$.counts.total',
               'by', d.data ->> '$.cancel.by', 'cause', d.data ->> '$.cancel.cause', 'reason', d.data ->> '$.cancel.reason',
               'outcome', d.data ->> '$.stop.outcome') END),
           'github', json(CASE WHEN w.github IS NOT NULL THEN json_object(
               'setting', w.github, 'repo', (SELECT github_repo FROM projects WHERE id = w.project_id),
               'check_run', (SELECT c.check_run_id FROM check_runs c CROSS JOIN projects p ON p.id = w.project_id
                              WHERE c.run_id = d.run_id AND c.repo_name = p.github_repo),
               'workflow_run', (SELECT workflow_run FROM workflow_runs WHERE delivery_id = d.id),
               'registered_at', d.data ->> '$.created_at',
               'environment', d.data ->> '$.environment.slug', 'commit', lower(d.data ->> '$.build.commit'),
               'started_at', d.data ->> '$.started_at', 'successor', d.data ->> '$.superseded_by',
               'completed_at', coalesce(d.data ->> '$.cancel.at', d.data ->> '$.ended_at')) END)) AS sent
  FROM deliveries d
  JOIN webhooks w ON w.id = d.webhook_id;

-- A project as the admin routes have it: the JSON of the contract's Project. What goes to GitHub is on as long as its row of
-- webhooks is.
CREATE VIEW shown_projects AS
SELECT p.*,
       json_object(
           'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name,
           'concurrency', json_object('scope', p.concurrency_scope, 'behaviour', p.concurrency_behaviour),
           'badges', json(iif(p.badges, 'true', 'false')), 'stop_on_close', json(iif(p.stop_on_close, 'true', 'false')),
           'retention_days', p.retention_days, 'bucket', p.bucket,
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
