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
       json_object('ci_run_id', 400 + id), json_array('e2e', suite), 'ada', 4
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

-- Runners took these.
UPDATE runs SET state = 'started', started_at = created_at + 20000, started_by = 'demo@example.com', runner = 'laptop-' || id,
       lease_token = 'local-demo-lease-' || id, lease_renewed_at = created_at + 20000, claim_request_id = '1:seed',
       lease_expires_at = created_at + 140000
 WHERE id IN (1, 3, 4, 6, 7, 8, 9, 10) AND state = 'queued' AND request_id = '1:seed-' || id;

UPDATE runs SET state = 'ended', result = CASE id WHEN 4 THEN 'failed' ELSE 'passed' END,
       ended_at = created_at + 240000, ended_by = 'demo@example.com', finish_request_id = '1:seed',
       counts = json_object('total', 48, 'success', CASE id WHEN 4 THEN 45 ELSE 47 END,
                            'failed', CASE id WHEN 4 THEN 2 ELSE 0 END, 'skipped', 1, 'flaky', 0)
 WHERE id IN (3, 4, 8) AND state = 'started' AND request_id = '1:seed-' || id;

UPDATE runs SET state = 'error', error_code = CASE id WHEN 6 THEN 'report_not_generated' ELSE 'worker_interrupted' END,
       ended_at = created_at + 90000, ended_by = 'demo@example.com', finish_request_id = '1:seed'
 WHERE id IN (6, 9) AND state = 'started' AND request_id = '1:seed-' || id;

UPDATE runs SET state = 'cancelled', cancelled_at = created_at + 60000, cancel_request_id = '1:seed',
       cancel_reason = CASE id WHEN 7 THEN 'wrong branch' WHEN 10 THEN 'no heartbeat for at least 2 min 5 s' END,
       cancel_cause = CASE id WHEN 10 THEN 'stale' ELSE 'user' END,
       cancel_by = CASE id WHEN 10 THEN 'system:sweeper' ELSE 'grace@example.com' END,
       stop_outcome = CASE id WHEN 7 THEN 'stopping' WHEN 10 THEN 'lost' ELSE 'never_started' END,
       stop_closed_at = CASE id WHEN 10 THEN created_at + 60000 END
 WHERE (id IN (7, 10) AND state = 'started' OR id = 11 AND state = 'queued') AND request_id = '1:seed-' || id;
UPDATE runs SET stop_outcome = 'graceful', stop_closed_at = cancelled_at + 4200
 WHERE id = 7 AND stop_outcome = 'stopping' AND request_id = '1:seed-7';

-- Run 1 is there to be stopped: each start of `make dev` renews its lease, as its runner would. Nobody renews it after a
-- cancel, so once it has run out a tick of the sweeper closes the stop record as lost.
UPDATE runs SET lease_renewed_at = unixepoch() * 1000, lease_expires_at = unixepoch() * 1000 + 600000
 WHERE id = 1 AND state = 'started' AND lease_token = 'local-demo-lease-1';
