-- A database as estop 0.1.0 leaves it: every state, every stop outcome, written by its own statements. A record: never edited.
--
-- Its clock stands at 1800000000000, which is 2027-01-15T08:00:00Z; the last tick of the sweeper was at that moment.
-- A run's branch says what it is. One has no branch: its metadata is {"what":"ended-no-branch"}.
--
-- The keys. The plain text of each is `estop_` and its letter 43 times; the table holds the SHA-256.
--   A  project 1, ada@example.com: read, cancel, run
--   B  project 2, bob@example.com: read, cancel, run; expires in 2037
--   C  project 3, cyd@example.com: read, cancel, run
--   R  project 1, rea@example.com: read only
--   E  project 1, eve@example.com: expired, seven hours before the clock (so not yet at an earlier one); it made run 1
--   X  project 1, xan@example.com: expired in 2001, before it was made
--   V  project 1, vic@example.com: revoked, five hours before the clock, after it cancelled run 8
--
-- The projects.
--   1  shop  no limit: environments 1 staging, 2 production
--   2  app   one run in each environment, a new one takes over: 3 staging, 4 production, 5 preview, 6 load; run 20 is
--            from when the limit was one in each environment and branch
--   3  docs  one run in the project, a new one waits: 7 staging
--
-- Foreign keys are off after this file; turn them on again.

PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE projects (
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
INSERT INTO projects (id, slug, name, repo_name, request_id, created_at, concurrency_scope, concurrency_behaviour) VALUES
(1, 'shop', 'Shop', 'acme/shop', 'own:YKMrnrr8lCr6gKMafd3D8Q', 1799971200000, 'none', 'cancel_previous'),
(2, 'app', 'App', NULL, 'key:make-app', 1799971200317, 'environment', 'cancel_previous'),
(3, 'docs', 'The docs'' site', 'acme/docs', 'own:fVMFJu5AghQtwKFigWl3HQ', 1799971200634, 'project', 'queue_new');
CREATE TABLE environments (
    id         INTEGER PRIMARY KEY,      -- what the list's filter environment_ids takes
    project_id INTEGER NOT NULL REFERENCES projects (id), -- whose it is
    slug       TEXT    NOT NULL CHECK (length(slug) BETWEEN 1 AND 64), -- what a registration names it by
    name       TEXT    NOT NULL,         -- name for people
    request_id TEXT    NOT NULL,         -- as in projects
    created_at INTEGER NOT NULL,         -- when
    UNIQUE (project_id, slug)
) STRICT;
INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES
(1, 1, 'staging', 'Staging', 'own:GVcYi0prTC-X4jcbktam1w', 1799971200951),
(2, 1, 'production', 'Production', 'own:XqvmglvJXOjpR6YeqmmmcA', 1799971201268),
(3, 2, 'staging', 'Staging', 'own:94id_W0aR_qW7_YQMJyYMA', 1799971201585),
(4, 2, 'production', 'Production', 'own:X4e_qTKHXaqSaSn0fYMofA', 1799971201902),
(5, 2, 'preview', 'Preview', 'own:EsMBKHP0pW7l5OKueGSdEA', 1799971202219),
(6, 2, 'load', 'Load', 'own:EvdNW95wpQPEXYcFDVQG0Q', 1799971202536),
(7, 3, 'staging', 'Staging', 'own:r7aLk9SDES0vdkj3yxbIXw', 1799971202853);
CREATE TABLE keys (
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
INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at, expires_at, revoked_at) VALUES
(1, 1, 'ada@example.com', 'CI of the shop', '1ad67822bda1b7f55903af59c72cc67fb2720e77a76e9262d97158e2054799b0', 1, 1, 1, 1799971260634, NULL, NULL),
(2, 2, 'bob@example.com', 'CI of the app', 'bcb9cc4abdcb95a21c060eeeff2227d8da6c746269658cefb4ba6ca239fd7a5a', 1, 1, 1, 1799971260951, 2115360000000, NULL),
(3, 3, 'cyd@example.com', 'CI of the docs', '53ab9d7396ec83782b07c72f689a0f8d183ea72c201757fce224efbf179da4ad', 1, 1, 1, 1799971261268, NULL, NULL),
(4, 1, 'rea@example.com', 'dashboard', '797fb6c5e34f3f8205adbad6d74625ba0e8dda8606d4f91bd4e73bc3c9e2209c', 1, 0, 0, 1799971261585, NULL, NULL),
(5, 1, 'eve@example.com', 'for one morning', '188c6086df81c4ab6239fe697ae45300b2bb726994449320789128f4dd5ba168', 1, 1, 1, 1799971261902, 1799974800000, NULL),
(6, 1, 'xan@example.com', 'never good', '3c13a2bf2347c2974b07f82779f24ea403a2bb1732b1c5cce13a1a33fa4730c5', 1, 1, 1, 1799971262219, 1000000000000, NULL),
(7, 1, 'vic@example.com', 'left the company', 'ee720e6b6d692a8c18698dadc5130dcf0ae76e875f840dcc024a87e2842230a8', 1, 1, 1, 1799971262536, NULL, 1799982001634);
CREATE TABLE runs (
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
INSERT INTO runs (id, project_id, environment_id, state, result, error_code, request_id, created_at, created_by, waiting_since, branch, build, metadata, tags, github_actor, total_shards, slot, protected, runner, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, claim_request_id, ended_at, ended_by, finish_request_id, counts, cancelled_at, cancel_reason, cancel_cause, cancel_by, cancel_request_id, superseded_by, stop_outcome, stop_closed_at) VALUES
(1, 1, 1, 'ended', 'passed', NULL, '5:own:ubPzUGVeNoFrXALqbdK9LQ', 1799973001000, 'eve@example.com', 1799973001000, NULL, NULL, '{"what":"ended-no-branch"}', '[]', NULL, NULL, NULL, 0, NULL, 'T4mgcfqnpg57qNF4TvURzA', 1799973240000, 1799973360000, 1799973001317, 'eve@example.com', '5:own:86vjxOdej9A3jJ8PCoAqpg', 1799973242000, 'eve@example.com', '5:own:vbiuk67P_DcBwsMmZm2nkA', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(2, 1, 2, 'ended', 'passed', NULL, '1:key:ci-300-passed', 1799973001634, 'ada@example.com', 1799973001634, 'ended-passed', '{"url":"https://ci.example.com/builds/300","branch":"ended-passed","commit":"0123abcd","commit_url":"https://git.example.com/acme/shop/commit/0123abcd","version":"1.4.0-rc.1"}', '{"ci_run_id":300,"job":"e2e; it''s \"quoted\"","note":"Grüße 👋\nsecond line","ratio":0.25}', '["e2e","smoke","it''s"]', 'ada-l', 4, NULL, 0, 'ci-1', 'HsjbbXMRnjUaDfw50gf72Q', 1799973240000, 1799973360000, 1799973001951, 'ada@example.com', '1:key:ci-300-claim', 1799973307000, 'ada@example.com', '1:key:ci-300-finish', '{"total":48,"success":46,"failed":0,"skipped":1,"flaky":1}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(3, 1, 1, 'ended', 'failed', NULL, '1:own:p7LVVHQfGGe79rZzXTCrig', 1799973002268, 'ada@example.com', 1799973002268, 'ended-failed', NULL, NULL, '["e2e"]', NULL, 1, NULL, 0, 'ci-2', 'W5-qJW9d14apL9w5HFJbRQ', 1799973320000, 1799973440000, 1799973002585, 'ada@example.com', '1:own:rODSYLOssualOqFZ2gvomg', 1799973363000, 'ada@example.com', '1:own:dOxkrZ-i1RkxC0I6OePIEQ', '{"total":48,"success":45,"failed":2,"skipped":1,"flaky":0}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(4, 1, 1, 'error', NULL, 'run_failed_with_error', '1:own:WTDNinyquCktj008vMDhqA', 1799973002902, 'ada@example.com', 1799973002902, 'error-run-failed-with-error', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-3', '3LIuR_mhuelmlTlwgG9f2Q', 1799973400000, 1799973520000, 1799973003219, 'ada@example.com', '1:own:WrJyMqibGdd0ifDvpUOIHw', 1799973431000, 'ada@example.com', '1:own:a98bDoZqEvQ8NWydIP2f0g', '{"total":48,"success":3,"failed":0,"skipped":45,"flaky":0}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(5, 1, 2, 'error', NULL, 'worker_interrupted', '1:key:ci-302', 1799973003536, 'ada@example.com', 1799973003536, 'error-worker-interrupted', NULL, NULL, '[]', 'grace', NULL, NULL, 0, 'ci-4', 'cKWcnSnIVV0uA-HydsFp7A', 1799973400000, 1799973520000, 1799973003853, 'ada@example.com', '1:own:Xh14eS-DeWspZYC9k7BwTw', 1799973431000, 'ada@example.com', '1:key:ci-302', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(6, 1, 1, 'cancelled', NULL, NULL, '1:own:si-S7xMtzzyj3lgvgQZ-xg', 1799978297000, 'ada@example.com', 1799978297000, 'stale-over-age-stopping', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-5', 'NE0inwL1Tupugv-rI16QFQ', 1799999960000, 1800000080000, 1799978297634, 'ada@example.com', '1:own:HceFFA8Vwpfwl31jXhnnOQ', NULL, NULL, NULL, NULL, 1799999940000, 'still running after 6 h 0 min', 'stale', 'system:sweeper', 'tick:vQ6FsFRPAIwkY_CuLHF41w', NULL, 'stopping', NULL),
(7, 1, 1, 'cancelled', NULL, NULL, '1:own:gui6x1UKH6LFqfpB2aYIgQ', 1799978297317, 'ada@example.com', 1799978297317, 'stale-over-age-killed', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-6', 'JAN0jg5U-APpxnnaKX_psA', 1799999960000, 1800000080000, 1799978297951, 'ada@example.com', '1:own:z1lE1dJxUATaym_AYYBFLQ', NULL, NULL, NULL, NULL, 1799999940000, 'still running after 6 h 0 min', 'stale', 'system:sweeper', 'tick:vQ6FsFRPAIwkY_CuLHF41w', NULL, 'killed', 1799999967000),
(8, 1, 1, 'cancelled', NULL, NULL, '1:key:ci-310', 1799982001000, 'ada@example.com', 1799982001000, 'cancelled-never-started', NULL, NULL, '[]', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799982001317, 'wrong branch', 'user', 'vic@example.com', '7:key:stop-310', NULL, 'never_started', NULL),
(9, 1, 1, 'cancelled', NULL, NULL, '1:own:8X-u2q7yxz17f_09XF2I7Q', 1799982001951, 'ada@example.com', 1799982001951, 'cancelled-graceful', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-7', 'G0C9lit2Bg-sKYlBaoOSzQ', 1799982160000, 1799982280000, 1799982002902, 'ada@example.com', '1:own:o-h_nszpxJiFVoZym0v6ow', NULL, NULL, NULL, NULL, 1799982185000, NULL, 'user', 'ada@example.com', '1:key:stop-311', NULL, 'graceful', 1799982189000),
(10, 1, 2, 'cancelled', NULL, NULL, '1:own:ER-QpG1cs5BJ7PYe0PCodA', 1799982002268, 'ada@example.com', 1799982002268, 'cancelled-killed', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-8', 'rYRJ9KZxoO6DA5KbFae_oQ', 1799982160000, 1799982280000, 1799982003219, 'ada@example.com', '1:own:mkTUT48UBGNPs7rs7rOndA', NULL, NULL, NULL, NULL, 1799982185317, 'it''s the wrong commit –' || char(10) || '	see "chat"', 'user', 'ada@example.com', '1:own:zYQiHOFG0rqSeqbWDbua-g', NULL, 'killed', 1799982197000),
(11, 1, 1, 'cancelled', NULL, NULL, '1:own:GVUcRe73DxSeOf5cLsTtyg', 1799982002585, 'ada@example.com', 1799982002585, 'cancelled-lost', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-9', 'fj21xn5e7XIKNW67_Fv6UQ', 1799982160000, 1799982280000, 1799982003536, 'ada@example.com', '1:own:f4M8JRwPLkCUayEJ0Md46g', NULL, NULL, NULL, NULL, 1799982185634, 'no answer', 'user', 'ada@example.com', '1:own:JFqKyuzO_bpOot7MS_Srjw', NULL, 'lost', 1799982360000),
(12, 1, 1, 'cancelled', NULL, NULL, '1:own:8SGVVxdHZz07RtsCGhy2ug', 1799983204000, 'ada@example.com', 1799983204000, 'stale-unclaimed', NULL, NULL, '[]', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799986860000, 'no runner claimed it for 1 h 0 min', 'stale', 'system:sweeper', 'tick:c7cFMtFpFbj0kyB6WM1xhw', NULL, 'never_started', NULL),
(13, 1, 2, 'cancelled', NULL, NULL, '1:own:3HlNrc60acDrjd60x6-T-g', 1799983204317, 'ada@example.com', 1799983204317, 'stale-lapsed', NULL, NULL, '[]', NULL, NULL, NULL, 0, NULL, 'k7LmJaYq2SInXrD0_vuxzA', 1799983204634, 1799983324634, 1799983204634, 'ada@example.com', '1:own:15NCkXgL02dORrndYe4MKg', NULL, NULL, NULL, NULL, 1799983380000, 'no heartbeat for at least 1 min 55 s', 'stale', 'system:sweeper', 'tick:w2Kkd9UO1TuSzRlwihJqmg', NULL, 'lost', 1799983380000),
(14, 1, 1, 'cancelled', NULL, NULL, '1:own:PkVrdk00Mq876zuNMqtCSQ', 1799989201000, 'ada@example.com', 1799989201000, 'bulk-ids-queued', NULL, NULL, '[]', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799989326317, 'all of it', 'user', 'ada@example.com', '1:key:stop-all', NULL, 'never_started', NULL),
(15, 1, 2, 'cancelled', NULL, NULL, '1:own:0w2O14RKz-hcJzvTtarE9Q', 1799989201317, 'ada@example.com', 1799989201317, 'bulk-ids-started', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-10', '71XcMoFdQ0vM4l11ze9n0Q', 1799989280000, 1799989400000, 1799989202268, 'ada@example.com', '1:own:fHOySZ4-woL1xH5oJW9trQ', NULL, NULL, NULL, NULL, 1799989326317, 'all of it', 'user', 'ada@example.com', '1:key:stop-all', NULL, 'graceful', 1799989332000),
(16, 1, 1, 'cancelled', NULL, NULL, '1:own:kXzIW10nhbCg2xtYamwz5g', 1799989201634, 'ada@example.com', 1799989201634, 'bulk-filter-queued', NULL, '{"ci_run_id":4711,"job":"e2e"}', '[]', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799989326951, 'CI run 4711 was cancelled', 'user', 'ada@example.com', '1:own:6eWImZGjPz1-_g-_4LvW3w', NULL, 'never_started', NULL),
(17, 1, 1, 'cancelled', NULL, NULL, '1:key:ci-4711-2', 1799989201951, 'ada@example.com', 1799989201951, 'bulk-filter-started', NULL, '{"ci_run_id":4711,"job":"e2e"}', '[]', NULL, NULL, NULL, 0, 'ci-11', '30uHQvEO541T-lUIooNiIg', 1799989280000, 1799989400000, 1799989202585, 'ada@example.com', '1:own:WiFfMsEYrEuma9kiQU3XEg', NULL, NULL, NULL, NULL, 1799989326951, 'CI run 4711 was cancelled', 'user', 'ada@example.com', '1:own:6eWImZGjPz1-_g-_4LvW3w', NULL, 'killed', 1799989338000),
(18, 3, 7, 'ended', 'passed', NULL, '3:own:Rcz1BDothcLcif8WjJKKsQ', 1799991001000, 'cyd@example.com', 1799991001000, 'ended-slow', NULL, NULL, '[]', NULL, NULL, 'project', 0, 'docs-1', 'TSIFzhm101FdrYtQO0Pdjg', 1799995480000, 1799995600000, 1799991001317, 'cyd@example.com', '3:own:O-eX9T1BEvVLKonb-w2xuQ', 1799995505000, 'cyd@example.com', '3:own:lCEngP9SRiHIHNdQPIoXTg', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(19, 3, 7, 'cancelled', NULL, NULL, '3:own:fR3p8_Xkv1oEfG8q55zRfw', 1799991121000, 'cyd@example.com', 1799991121000, 'stale-unclaimed-pending', NULL, NULL, '[]', NULL, NULL, 'project', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799994780000, 'no runner claimed it for 1 h 0 min', 'stale', 'system:sweeper', 'tick:7uXDX60YiHe9g_2a4TOXww', NULL, 'never_started', NULL),
(20, 2, 6, 'started', NULL, NULL, '2:own:4v9ctV3lj3uTpFUiLQOPjA', 1799992801000, 'bob@example.com', 1799992801000, 'started-branch-slot', NULL, NULL, '[]', NULL, NULL, 'environment 6 branch started-branch-slot', 0, 'app-1', 'omKT3w4i060rLLi9WohsSQ', 1800000000000, 1800000120000, 1799992801317, 'bob@example.com', '2:own:d4JnzW5RpE7g8FQcGJA_sg', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(21, 3, 7, 'ended', 'failed', NULL, '3:key:docs-2', 1799995201000, 'cyd@example.com', 1799995505000, 'promoted-ended', NULL, NULL, '[]', NULL, NULL, 'project', 0, 'docs-2', 'mouVNP1V6nEAb8S2QTGb5Q', 1799998760000, 1799998880000, 1799995565000, 'cyd@example.com', '3:own:o0hmtu7XGxAam9c373mJKg', 1799998803000, 'cyd@example.com', '3:key:docs-2-finish', '{"total":2,"success":0,"failed":2,"skipped":0,"flaky":0}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(22, 2, 3, 'cancelled', NULL, NULL, '2:own:nYxyu8PcGVSeYiFtdcyhkA', 1799996701000, 'bob@example.com', 1799996701000, 'superseded-graceful', NULL, NULL, '[]', NULL, NULL, 'environment 3', 0, 'app-2', 'Trxg6d33Y5km8Gq4Lq02RQ', 1799996701317, 1799996821317, 1799996701317, 'bob@example.com', '2:own:pwFQvnq-HtIA0TsVbkR3yA', NULL, NULL, NULL, NULL, 1799996761000, 'test run 23 took its place', 'superseded', 'system:concurrency', '2:own:ghe6RJGTCjZksO7dwzqjJQ', 23, 'graceful', 1799996768000),
(23, 2, 3, 'cancelled', NULL, NULL, '2:own:ghe6RJGTCjZksO7dwzqjJQ', 1799996761000, 'bob@example.com', 1799996761000, 'superseded-never-started', NULL, NULL, '[]', NULL, NULL, 'environment 3', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799998921000, 'test run 26 took its place', 'superseded', 'system:concurrency', '2:own:7jj8XZl7w4FHmS2iuWWDKg', 26, 'never_started', NULL),
(24, 3, 7, 'cancelled', NULL, NULL, '3:own:YpcpWLuY1glWOwdXj4N32A', 1799998201000, 'cyd@example.com', 1799998201000, 'superseded-pending', NULL, NULL, '[]', NULL, NULL, 'project', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1799998501000, 'test run 25 took its place', 'superseded', 'system:concurrency', '3:own:0MFfgP1znpRrUdVEPbmOog', 25, 'never_started', NULL),
(25, 3, 7, 'queued', NULL, NULL, '3:own:0MFfgP1znpRrUdVEPbmOog', 1799998501000, 'cyd@example.com', 1799998803000, 'promoted-queued', NULL, NULL, '["docs"]', NULL, NULL, 'project', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(26, 2, 3, 'cancelled', NULL, NULL, '2:own:7jj8XZl7w4FHmS2iuWWDKg', 1799998921000, 'bob@example.com', 1799998921000, 'superseded-stopping', NULL, NULL, '[]', NULL, NULL, 'environment 3', 0, 'app-3', '-3aC3IjKakLuMTCKNHhc4g', 1799999960000, 1800000080000, 1799998921317, 'bob@example.com', '2:own:QiVvn0fJjoOA3OPyJbuM_w', NULL, NULL, NULL, NULL, 1799999905000, 'test run 35 took its place', 'superseded', 'system:concurrency', '2:own:-MobgQ6_WaCgXqNFGQ6MDw', 35, 'stopping', NULL),
(27, 2, 4, 'started', NULL, NULL, '2:key:release-1', 1799998921634, 'bob@example.com', 1799998921634, 'protected-started', NULL, NULL, '["release"]', NULL, NULL, 'environment 4', 1, 'app-4', '03hsmO0-W0OmKDWh73I51g', 1799999960000, 1800000080000, 1799998921951, 'bob@example.com', '2:own:GQsdohtkuO1BEh5qwfgu8A', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(28, 1, 2, 'queued', NULL, NULL, '1:key:ci-400', 1799999101000, 'ada@example.com', 1799999101000, 'queued', '{"branch":"queued","commit":"4567cdef"}', '{"ci_run_id":400}', '["e2e","cart"]', 'ada-l', 8, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(29, 1, 1, 'started', NULL, NULL, '1:own:EZqwu6RH_nT40qrnvsq_kQ', 1799999101317, 'ada@example.com', 1799999101317, 'started', NULL, '{"ci_run_id":401}', '[]', NULL, 2, NULL, 0, 'ci-12', '83O0vEjRfX_ekuELEw1INg', 1799999980000, 1800000100000, 1799999101634, 'ada@example.com', '1:own:mIHrMSuHXLxaltB6grhg-Q', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(30, 3, 7, 'pending', NULL, NULL, '3:key:docs-4', 1799999401000, 'cyd@example.com', 1799999401000, 'pending', NULL, '{"ci_run_id":402}', '[]', NULL, NULL, 'project', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(31, 2, 4, 'queued', NULL, NULL, '2:own:oFz9zGpZrG8OWK63xZw14A', 1799999701000, 'bob@example.com', 1799999701000, 'queued-behind-protected', NULL, NULL, '[]', NULL, NULL, 'environment 4', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(32, 1, 1, 'cancelled', NULL, NULL, '1:own:5M2aG_Gti6z4_EiIuOnrCg', 1799999821000, 'ada@example.com', 1799999821000, 'cancelled-stopping', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-13', 'KYLBTQyYXza8ITRiK-O9VQ', 1799999980000, 1800000100000, 1799999821317, 'ada@example.com', '1:own:iOWoB2Pl5LEbHnYvew-s-w', NULL, NULL, NULL, NULL, 1799999945000, 'not needed any more', 'user', 'ada@example.com', '1:key:stop-413', NULL, 'stopping', NULL),
(33, 2, 5, 'cancelled', NULL, NULL, '2:own:ncy-tJW5KPgj_AmV7L5TOw', 1799999870000, 'bob@example.com', 1799999870000, 'superseded-stopping-lapsed', NULL, NULL, '[]', NULL, NULL, 'environment 5', 0, 'app-5', 'zqSNDIWLGYZr0EUjCUnbQQ', 1799999870317, 1799999990317, 1799999870317, 'bob@example.com', '2:own:bzDgIZ5XpQ1UKuXa2BZ5RQ', NULL, NULL, NULL, NULL, 1799999918000, 'test run 36 took its place', 'superseded', 'system:concurrency', '2:key:preview-2', 36, 'stopping', NULL),
(34, 1, 1, 'started', NULL, NULL, '1:own:WomR8b7GWvX8kYw-DCVENQ', 1799999875000, 'ada@example.com', 1799999875000, 'started-lapsed', NULL, NULL, '[]', NULL, NULL, NULL, 0, 'ci-14', 'ZR2INtXnoIkxNU9dZKkm2g', 1799999875317, 1799999995317, 1799999875317, 'ada@example.com', '1:own:pBYxy2CvqI__QpoTjzltzg', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(35, 2, 3, 'queued', NULL, NULL, '2:own:-MobgQ6_WaCgXqNFGQ6MDw', 1799999905000, 'bob@example.com', 1799999905000, 'queued-behind-stopping', NULL, NULL, '[]', NULL, NULL, 'environment 3', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(36, 2, 5, 'queued', NULL, NULL, '2:key:preview-2', 1799999918000, 'bob@example.com', 1799999918000, 'queued-behind-lapsed', NULL, NULL, '[]', NULL, NULL, 'environment 5', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE bulk_cancels (
    request_id TEXT    PRIMARY KEY,      -- as in runs
    run_ids    TEXT    NOT NULL CHECK (json_valid(run_ids)), -- the runs that it chose, cancelled or not
    created_at INTEGER NOT NULL,         -- when
    created_by TEXT    NOT NULL          -- the key's user
) STRICT, WITHOUT ROWID;
INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by) VALUES
('1:key:stop-all', '[2,14,15]', 1799989326317, 'ada@example.com'),
('1:own:6eWImZGjPz1-_g-_4LvW3w', '[16,17]', 1799989326951, 'ada@example.com');
CREATE TABLE run_events (
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
INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason) VALUES
(1, 2, 1799973001000, NULL, 'queued', 'registered', 'eve@example.com', NULL),
(1, 3, 1799973001317, 'queued', 'started', 'claimed', 'eve@example.com', NULL),
(1, 4, 1799973242000, 'started', 'ended', 'finished', 'eve@example.com', NULL),
(2, 2, 1799973001634, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(2, 3, 1799973001951, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(2, 4, 1799973307000, 'started', 'ended', 'finished', 'ada@example.com', NULL),
(3, 2, 1799973002268, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(3, 3, 1799973002585, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(3, 4, 1799973363000, 'started', 'ended', 'finished', 'ada@example.com', NULL),
(4, 2, 1799973002902, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(4, 3, 1799973003219, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(4, 4, 1799973431000, 'started', 'error', 'finished', 'ada@example.com', 'run_failed_with_error'),
(5, 2, 1799973003536, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(5, 3, 1799973003853, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(5, 4, 1799973431000, 'started', 'error', 'finished', 'ada@example.com', 'worker_interrupted'),
(6, 2, 1799978297000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(6, 3, 1799978297634, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(6, 4, 1799999940000, 'started', 'cancelled', 'stale', 'system:sweeper', 'still running after 6 h 0 min'),
(7, 2, 1799978297317, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(7, 3, 1799978297951, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(7, 4, 1799999940000, 'started', 'cancelled', 'stale', 'system:sweeper', 'still running after 6 h 0 min'),
(8, 2, 1799982001000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(8, 4, 1799982001317, 'queued', 'cancelled', 'user', 'vic@example.com', 'wrong branch'),
(9, 2, 1799982001951, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(9, 3, 1799982002902, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(9, 4, 1799982185000, 'started', 'cancelled', 'user', 'ada@example.com', NULL),
(10, 2, 1799982002268, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(10, 3, 1799982003219, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(10, 4, 1799982185317, 'started', 'cancelled', 'user', 'ada@example.com', 'it''s the wrong commit –' || char(10) || '	see "chat"'),
(11, 2, 1799982002585, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(11, 3, 1799982003536, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(11, 4, 1799982185634, 'started', 'cancelled', 'user', 'ada@example.com', 'no answer'),
(12, 2, 1799983204000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(12, 4, 1799986860000, 'queued', 'cancelled', 'stale', 'system:sweeper', 'no runner claimed it for 1 h 0 min'),
(13, 2, 1799983204317, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(13, 3, 1799983204634, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(13, 4, 1799983380000, 'started', 'cancelled', 'stale', 'system:sweeper', 'no heartbeat for at least 1 min 55 s'),
(14, 2, 1799989201000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(14, 4, 1799989326317, 'queued', 'cancelled', 'user', 'ada@example.com', 'all of it'),
(15, 2, 1799989201317, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(15, 3, 1799989202268, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(15, 4, 1799989326317, 'started', 'cancelled', 'user', 'ada@example.com', 'all of it'),
(16, 2, 1799989201634, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(16, 4, 1799989326951, 'queued', 'cancelled', 'user', 'ada@example.com', 'CI run 4711 was cancelled'),
(17, 2, 1799989201951, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(17, 3, 1799989202585, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(17, 4, 1799989326951, 'started', 'cancelled', 'user', 'ada@example.com', 'CI run 4711 was cancelled'),
(18, 2, 1799991001000, NULL, 'queued', 'registered', 'cyd@example.com', NULL),
(18, 3, 1799991001317, 'queued', 'started', 'claimed', 'cyd@example.com', NULL),
(18, 4, 1799995505000, 'started', 'ended', 'finished', 'cyd@example.com', NULL),
(19, 1, 1799991121000, NULL, 'pending', 'registered', 'cyd@example.com', NULL),
(19, 4, 1799994780000, 'pending', 'cancelled', 'stale', 'system:sweeper', 'no runner claimed it for 1 h 0 min'),
(20, 2, 1799992801000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(20, 3, 1799992801317, 'queued', 'started', 'claimed', 'bob@example.com', NULL),
(21, 1, 1799995201000, NULL, 'pending', 'registered', 'cyd@example.com', NULL),
(21, 2, 1799995505000, 'pending', 'queued', 'promoted', 'system:concurrency', NULL),
(21, 3, 1799995565000, 'queued', 'started', 'claimed', 'cyd@example.com', NULL),
(21, 4, 1799998803000, 'started', 'ended', 'finished', 'cyd@example.com', NULL),
(22, 2, 1799996701000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(22, 3, 1799996701317, 'queued', 'started', 'claimed', 'bob@example.com', NULL),
(22, 4, 1799996761000, 'started', 'cancelled', 'superseded', 'system:concurrency', 'test run 23 took its place'),
(23, 2, 1799996761000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(23, 4, 1799998921000, 'queued', 'cancelled', 'superseded', 'system:concurrency', 'test run 26 took its place'),
(24, 1, 1799998201000, NULL, 'pending', 'registered', 'cyd@example.com', NULL),
(24, 4, 1799998501000, 'pending', 'cancelled', 'superseded', 'system:concurrency', 'test run 25 took its place'),
(25, 1, 1799998501000, NULL, 'pending', 'registered', 'cyd@example.com', NULL),
(25, 2, 1799998803000, 'pending', 'queued', 'promoted', 'system:concurrency', NULL),
(26, 2, 1799998921000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(26, 3, 1799998921317, 'queued', 'started', 'claimed', 'bob@example.com', NULL),
(26, 4, 1799999905000, 'started', 'cancelled', 'superseded', 'system:concurrency', 'test run 35 took its place'),
(27, 2, 1799998921634, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(27, 3, 1799998921951, 'queued', 'started', 'claimed', 'bob@example.com', NULL),
(28, 2, 1799999101000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(29, 2, 1799999101317, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(29, 3, 1799999101634, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(30, 1, 1799999401000, NULL, 'pending', 'registered', 'cyd@example.com', NULL),
(31, 2, 1799999701000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(32, 2, 1799999821000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(32, 3, 1799999821317, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(32, 4, 1799999945000, 'started', 'cancelled', 'user', 'ada@example.com', 'not needed any more'),
(33, 2, 1799999870000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(33, 3, 1799999870317, 'queued', 'started', 'claimed', 'bob@example.com', NULL),
(33, 4, 1799999918000, 'started', 'cancelled', 'superseded', 'system:concurrency', 'test run 36 took its place'),
(34, 2, 1799999875000, NULL, 'queued', 'registered', 'ada@example.com', NULL),
(34, 3, 1799999875317, 'queued', 'started', 'claimed', 'ada@example.com', NULL),
(35, 2, 1799999905000, NULL, 'queued', 'registered', 'bob@example.com', NULL),
(36, 2, 1799999918000, NULL, 'queued', 'registered', 'bob@example.com', NULL);
CREATE INDEX keys_by_project ON keys (project_id);
CREATE UNIQUE INDEX runs_by_request     ON runs (request_id);
CREATE INDEX runs_by_project     ON runs (project_id);
CREATE INDEX runs_by_branch      ON runs (project_id, branch) WHERE branch IS NOT NULL;
CREATE INDEX runs_by_environment ON runs (project_id, environment_id);
CREATE INDEX runs_by_state       ON runs (project_id, state);
CREATE INDEX runs_by_result      ON runs (project_id, result) WHERE result IS NOT NULL;
CREATE INDEX runs_unclaimed   ON runs (waiting_since)    WHERE state IN ('pending', 'queued');
CREATE INDEX runs_lapsing     ON runs (lease_expires_at) WHERE state = 'started';
CREATE INDEX runs_ageing      ON runs (started_at)       WHERE state = 'started';
CREATE INDEX runs_unconfirmed ON runs (lease_expires_at) WHERE stop_outcome = 'stopping';
CREATE INDEX runs_in_slot ON runs (project_id, slot)
    WHERE slot IS NOT NULL AND (state IN ('pending', 'queued', 'started') OR stop_outcome = 'stopping');
CREATE TRIGGER runs_begin_waiting BEFORE INSERT ON runs
WHEN NEW.state NOT IN ('pending', 'queued')
BEGIN
    SELECT RAISE(ABORT, 'a run begins pending or queued');
END;
CREATE TRIGGER runs_over_is_over BEFORE UPDATE OF
    state, result, error_code, ended_at, ended_by, counts, finish_request_id, lease_token,
    started_at, started_by, runner, claim_request_id, cancelled_at, cancel_reason, cancel_cause,
    cancel_by, cancel_request_id, superseded_by ON runs
WHEN OLD.state IN ('ended', 'error', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;
CREATE TRIGGER runs_go_forward BEFORE UPDATE OF state ON runs
WHEN (OLD.state, NEW.state) NOT IN (VALUES ('pending', 'queued'), ('queued', 'started'), ('started', 'ended'), ('started', 'error'),
    ('pending', 'cancelled'), ('queued', 'cancelled'), ('started', 'cancelled'))
  AND OLD.state <> NEW.state AND OLD.state IN ('pending', 'queued', 'started')
BEGIN
    SELECT RAISE(ABORT, 'a run only goes forward');
END;
CREATE TRIGGER runs_one_holder BEFORE UPDATE OF lease_token, started_at, started_by, runner, claim_request_id ON runs
WHEN OLD.lease_token IS NOT NULL AND OLD.state IN ('queued', 'started')
BEGIN
    SELECT RAISE(ABORT, 'a run is claimed once');
END;
CREATE TRIGGER runs_lease_ends BEFORE UPDATE OF lease_renewed_at, lease_expires_at ON runs
WHEN OLD.state IN ('ended', 'error', 'cancelled') AND OLD.stop_outcome IS NOT 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a run that is over never changes');
END;
CREATE TRIGGER runs_stop_record_closes_once BEFORE UPDATE OF stop_outcome, stop_closed_at ON runs
WHEN OLD.stop_outcome <> 'stopping'
BEGIN
    SELECT RAISE(ABORT, 'a stop record closes once');
END;
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
CREATE TRIGGER runs_registered AFTER INSERT ON runs
BEGIN
    INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by)
    VALUES (NEW.id, CASE NEW.state WHEN 'pending' THEN 1 ELSE 2 END, NEW.created_at, NULL, NEW.state, 'registered', NEW.created_by);
END;
CREATE TRIGGER runs_changed_state AFTER UPDATE OF state ON runs
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
CREATE TRIGGER runs_supersede AFTER INSERT ON runs
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
CREATE TRIGGER runs_promote AFTER UPDATE OF state, stop_outcome ON runs
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
COMMIT;
