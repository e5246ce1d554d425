-- A project to play with, for a laptop only: `make dev` loads it into the embedded database, `make deploy` never does.
-- Even in a deployment's database its key would open nothing (see LOCAL_DEMO in src/key.rs).
-- Runs are made as the service makes them, registered first and changed afterwards, so their events are true.
-- Loading it again changes nothing but the lease of run 1: what exists stays, and the other UPDATEs only touch runs that
-- still wait.

INSERT INTO projects (id, slug, name, repo_name, request_id, created_at)
VALUES (1, 'demo', 'Demo', 'acme/shop', 'seed', unixepoch() * 1000) ON CONFLICT (id) DO NOTHING;

INSERT INTO environments (id, project_id, slug, name, request_id, created_at)
SELECT id, 1, slug, name, 'seed', unixepoch() * 1000
  FROM (SELECT 1 AS id, 'staging' AS slug, 'Staging' AS name UNION ALL SELECT 2, 'production', 'Production') new
 WHERE NOT EXISTS (SELECT 1 FROM environments WHERE environments.id = new.id);

-- The SHA-256 of estop_local-demo-key-for-your-own-laptop-only-000
INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at)
SELECT 1, 1, 'demo@example.com', 'Local demo key', '1498514775e29f4d512bda0a69e596b2a19f5ef5859cb73ff1afe38d3618dd7c',
       1, 1, 1, unixepoch() * 1000
 WHERE NOT EXISTS (SELECT 1 FROM keys WHERE id = 1);

-- Twelve runs, the last minutes of a busy morning.
INSERT INTO runs
    (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch, build, metadata, tags, github_actor, total_shards)
SELECT id, 1, environment, state, '1:seed-' || id, unixepoch() * 1000 - age * 60000, 'demo@example.com',
       unixepoch() * 1000 - age * 60000, branch,
       json_object('url', 'https://ci.example.com/builds/' || (400 + id), 'branch', branch, 'commit', printf('%07x', 9000000 + id * 7919)),
       json_object('ci_run_id', 400 + id), json_array('e2e', suite), 'ada', 1
  FROM (          SELECT  1 AS id, 1 AS environment, 'queued' AS state, 12 AS age, 'main' AS branch, 'checkout' AS suite
        UNION ALL SELECT  2, 1, 'queued',   9, 'feature/cart',  'cart'
        UNION ALL SELECT  3, 2, 'queued',  55, 'main',          'smoke'
        UNION ALL SELECT  4, 1, 'queued',  50, 'feature/cart',  'cart'
        UNION ALL SELECT  5, 1, 'pending',  8, 'feature/cart',  'checkout')
UNION ALL
SELECT id, 1, environment, state, '1:seed-' || id, unixepoch() * 1000 - age * 60000, 'demo@example.com',
       unixepoch() * 1000 - age * 60000, branch,
       json_object('url', 'https://ci.example.com/builds/' || (400 + id), 'branch', branch, 'commit', printf('%07x', 9000000 + id * 7919)),
       json_object('ci_run_id', 400 + id), json_array('e2e', suite), 'grace', 1
  FROM (          SELECT  6 AS id, 1 AS environment, 'queued' AS state, 45 AS age, 'fix/login' AS branch, 'login' AS suite
        UNION ALL SELECT  7, 1, 'queued',  40, 'fix/login',     'login'
        UNION ALL SELECT  8, 1, 'queued',  38, 'main',          'checkout'
        UNION ALL SELECT  9, 2, 'queued',  30, 'main',          'smoke'
        UNION ALL SELECT 10, 1, 'queued',   7, 'main',          'search')
 WHERE true ON CONFLICT (id) DO NOTHING;
INSERT INTO runs
    (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch, tags)
SELECT id, 1, 1, 'queued', '1:seed-' || id, unixepoch() * 1000 - age * 60000, 'demo@example.com',
       unixepoch() * 1000 - age * 60000, 'feature/search', '["e2e"]'
  FROM (SELECT 11 AS id, 6 AS age UNION ALL SELECT 12, 5)
 WHERE true ON CONFLICT (id) DO NOTHING;

-- Runners took these, of one shard each. A seed that is loaded again finds them there.
INSERT INTO run_shards (run_id, shard, state, runner, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by,
                        claim_request_id)
SELECT id, 1, 'started', 'laptop-' || id, 'local-demo-lease-' || id, created_at + 20000, created_at + 140000, created_at + 20000,
       'demo@example.com', '1:seed'
  FROM runs
 WHERE id IN (1, 3, 4, 6, 7, 8, 9, 10) AND state = 'queued' AND request_id = '1:seed-' || id;

-- These finished: the schema ends their runs.
UPDATE run_shards
   SET state = CASE run_id WHEN 6 THEN 'error' WHEN 9 THEN 'error' ELSE 'ended' END,
       result = CASE run_id WHEN 3 THEN 'passed' WHEN 4 THEN 'failed' WHEN 8 THEN 'passed' END,
       error_code = CASE run_id WHEN 6 THEN 'report_not_generated' WHEN 9 THEN 'worker_interrupted' END,
       counts = CASE WHEN run_id IN (3, 4, 8) THEN
           json_object('total', 48, 'success', CASE run_id WHEN 4 THEN 45 ELSE 47 END,
                       'failed', CASE run_id WHEN 4 THEN 2 ELSE 0 END, 'skipped', 1, 'flaky', 0) END,
       failed = CASE run_id WHEN 4 THEN 2 ELSE 0 END,
       ended_at = started_at + CASE WHEN run_id IN (6, 9) THEN 70000 ELSE 220000 END,
       finish_request_id = '1:seed'
 WHERE run_id IN (3, 4, 6, 8, 9) AND shard = 1 AND state = 'started' AND lease_token = 'local-demo-lease-' || run_id;

UPDATE runs
   SET version = version + 1, state = 'cancelled', cancelled_at = created_at + 60000, cancel_request_id = '1:seed',
       cancel_reason = CASE id WHEN 7 THEN 'wrong branch' WHEN 10 THEN 'no heartbeat for at least 2 min 5 s' END,
       cancel_cause = CASE id WHEN 10 THEN 'stale' ELSE 'user' END,
       cancel_by = CASE id WHEN 10 THEN 'system:sweeper' ELSE 'grace@example.com' END,
       stop_outcome = iif(open_shards = 0, 'never_started', 'stopping')
 WHERE (id IN (7, 10) AND state = 'started' OR id = 11 AND state = 'queued') AND request_id = '1:seed-' || id;
UPDATE run_shards
   SET state = 'cancelled', stop_outcome = CASE run_id WHEN 7 THEN 'graceful' ELSE 'lost' END,
       stop_closed_at = started_at + CASE run_id WHEN 7 THEN 44200 ELSE 40000 END
 WHERE run_id IN (7, 10) AND shard = 1 AND state = 'started' AND lease_token = 'local-demo-lease-' || run_id;

-- Run 1 is there to be stopped: each start of `make dev` renews its lease, as its runner would. Nobody renews it after a
-- cancel, so once it has run out a tick of the sweeper closes the stop record as lost.
UPDATE run_shards SET lease_renewed_at = unixepoch() * 1000, lease_expires_at = unixepoch() * 1000 + 600000
 WHERE run_id = 1 AND shard = 1 AND state = 'started' AND lease_token = 'local-demo-lease-1'
   AND (SELECT state FROM runs WHERE id = 1) = 'started';
