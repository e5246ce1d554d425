//! Years of runs as SQL: what a team of some forty people and its CI leave behind in five environments and on branches that
//! come and go, with a smaller project beside it.
//!
//! Everything follows from a run's age, its distance from the newest, and not from its id: the newest runs of a database are
//! alike whatever its size, so that any difference in rows is the size's. So are the [`OLDEST`], which are archived.

use std::ops::Range;

use crate::fixture::{self, guard, unguard};

/// After so many runs the pattern of a run's shape comes again.
pub const PERIOD: i64 = 4620;
/// How many of the oldest runs are those of the smallest database, whatever the size.
pub const OLDEST: i64 = 700;
/// How many runs the history of the smallest database has at least.
pub const SMALLEST: i64 = 730;
/// A day, in ms.
const DAY: i64 = 86_400_000;
/// How many runs are made in one transaction.
const STEP: i64 = 20_000;

/// How many days the history spans: seven runs a day where it is short, and a thousand days where it is long.
fn days(runs: i64) -> i64 {
    (runs / 7).min(1000)
}

/// What is there before the first run: two projects with a key each that keep their runs for ever, environments, and webhooks that
/// keep the most deliveries that a webhook keeps.
pub fn beginning(now: i64) -> String {
    let mut sql = fixture::projects();
    sql += &format!(
        "UPDATE projects SET badges = 1, retention_days = 0, changed_at = created_at;
         INSERT INTO environments (id, project_id, slug, name, request_id, created_at)
             VALUES (3, 1, 'production', 'Production', 'e', {now}), (4, 1, 'preview', 'Preview', 'e', {now}),
                    (5, 1, 'eu', 'EU', 'e', {now}), (6, 1, 'us', 'US', 'e', {now});
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6)
         INSERT INTO webhooks (id, project_id, url, events, branch, format, origin, created_at, request_id, request_hash)
             SELECT i, 1 + i % 2, 'https://hooks.example/' || i, '[\"run.ended\",\"run.cancelled\"]', 'release/*', 'standard',
                    'https://estop.example', {now}, 'w' || i, 'h' FROM n;
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 599)
         INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state, attempts, attempted_at, status)
             SELECT 1 + i / 100, i + 1, 4, 'run.ended', 'msg_' || i, printf('{{\"id\":%d,\"padding\":\"%0900d\"}}', i + 1, i), {now}, {now},
                    iif(i % 20, 'delivered', 'failed'), 1, {now}, iif(i % 20, 204, 500) FROM n;"
    );
    sql
}

/// The scripts that make the runs with the ids 1 to `runs`, the newest of which happens at `now` (ms): runs, shards, events, and
/// the days' counts, by the sweeper's own statement.
pub fn of(runs: i64, now: i64) -> impl Iterator<Item = String> {
    let steps = (1..=runs).step_by(usize::try_from(STEP).expect("few"));
    let steps = steps.map(move |first| step(&(first..(first + STEP).min(runs + 1)), runs, now));
    std::iter::once(unguard()).chain(steps).chain(std::iter::once(guard()))
}

/// One transaction.
fn step(ids: &Range<i64>, runs: i64, now: i64) -> String {
    let (first, last) = (ids.start, ids.end - 1);
    let between = days(runs) * DAY / runs;
    // In a ring of 7, 11, 3, 5 and 4, whose product is the period, so that each shape meets each other.
    let shapes = format!(
        "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}),
         aged AS (SELECT i, iif(i <= {OLDEST}, {SMALLEST}, {runs}) - i + 1 AS age, {now} - ({runs} - i) * {between} AS at FROM n),
         shaped AS (
             SELECT i, age, at, iif(age % 10 = 9, 2, 1) AS project,
                    CASE WHEN age % 10 = 9 THEN 2 WHEN age % 5 = 0 THEN 1 ELSE 2 + age % 5 END AS environment,
                    CASE WHEN age % 7 = 0 THEN 'cancelled' WHEN age % 21 = 1 THEN 'error' ELSE 'ended' END AS state,
                    iif(age % 11 < 3, 'failed', 'passed') AS result,
                    iif(age % 4 = 2, 4, 1) AS shards,
                    180000 + (age % 11) * 60000 AS took,
                    age % 28 = 0 AS superseded, age % 28 = 7 AS lost,
                    iif(age % 5 < 2, 'main', 'feature/' || (age / 300)) AS branch,
                    iif(age % 3 = 0, 'renovate[bot]', 'dev-' || (age % 40)) AS actor
               FROM aged)"
    );
    let count = include_str!("../../src/sweeper/count.sql").replace("?2", &STEP.to_string());
    let count = count.replace("?1", &now.to_string());
    format!(
        "{shapes}
         INSERT INTO runs (id, project_id, environment_id, version, state, result, error_code, request_id, created_at, created_by,
             waiting_since, branch, build, metadata, tags, github_actor, total_shards, finished_shards, failed_tests, run_group,
             concurrency_group, started_at, started_by, ended_at, ended_by, counts, cancelled_at, cancel_reason, cancel_cause,
             cancel_by, cancel_request_id, superseded_by, stop_outcome, stop_closed_at)
         SELECT i, project, environment, 2 + shards, state, iif(state = 'ended', result, NULL),
             iif(state = 'error', 'worker_interrupted', NULL), project || ':' || printf('%08x', i * 2654435761 % 4294967296), at,
             'ci@example.com', at, branch,
             json_object('url', 'https://github.com/acme/shop/actions/runs/' || i, 'branch', branch, 'commit', printf('%040x', i * 2654435761),
                         'commit_url', printf('https://github.com/acme/shop/commit/%040x', i * 2654435761)),
             json_object('ci', 'github', 'number', age % 100), json_array('e2e', iif(age % 2, 'smoke', 'full')), actor, shards,
             iif(state = 'cancelled', 0, shards), iif(state <> 'cancelled' AND result = 'failed', 2 * shards, 0),
             iif(shards > 1, 'ci-' || i, NULL), 'environment ' || environment, iif(superseded, NULL, at + 9000),
             iif(superseded, NULL, 'ci@example.com'), iif(state = 'cancelled', NULL, at + 9000 + took),
             iif(state = 'cancelled', NULL, 'ci@example.com'),
             iif(state = 'ended', json_object('total', 90 * shards, 'success', (90 - 2 * (result = 'failed')) * shards,
                                              'failed', 2 * (result = 'failed') * shards, 'skipped', 0, 'flaky', 0), NULL),
             iif(state = 'cancelled', at + 60000, NULL), iif(state = 'cancelled', iif(superseded, 'a newer run took its place', 'wrong branch'), NULL),
             CASE WHEN state <> 'cancelled' THEN NULL WHEN superseded THEN 'superseded' WHEN lost THEN 'stale' ELSE 'user' END,
             CASE WHEN state <> 'cancelled' THEN NULL WHEN superseded THEN 'system:concurrency' WHEN lost THEN 'system:sweeper'
                  ELSE 'dev-' || (age % 40) END,
             iif(state = 'cancelled', 'x' || i, NULL), iif(superseded, i + 10, NULL),
             CASE WHEN state <> 'cancelled' THEN NULL WHEN superseded THEN 'never_started' WHEN lost THEN 'lost'
                  ELSE iif(age % 28 = 14, 'graceful', 'terminated') END,
             iif(state = 'cancelled' AND NOT superseded, at + 62000 + age % 11 * 500, NULL)
           FROM shaped;
         WITH RECURSIVE n (shard) AS (SELECT 1 UNION ALL SELECT shard + 1 FROM n WHERE shard < 4)
         INSERT INTO run_shards (run_id, shard, state, result, error_code, counts, failed, runner, lease_token, lease_renewed_at,
             lease_expires_at, started_at, started_by, claim_request_id, ended_at, finish_request_id, stop_outcome, stop_closed_at,
             failures)
         SELECT id, shard, state, result, error_code, counts, failed_tests / total_shards, 'runner-' || (id % 60),
             printf('00.%d.%08x%08x', shard, id, id * 2654435761 % 4294967296), started_at, started_at + 120000, started_at, started_by,
             '1:' || printf('%08x', id * 40503 % 4294967296) || shard, ended_at, iif(ended_at IS NULL, NULL, 'lease:' || id || '.' || shard),
             stop_outcome, stop_closed_at,
             iif(result = 'failed', json_array(
                 json_object('title', 'checkout › pays by card ' || shard, 'file', 'tests/checkout.spec.ts', 'line', 42, 'message', 'expected 200, was 500'),
                 json_object('title', 'cart › keeps what is in it ' || shard, 'file', 'tests/cart.spec.ts', 'line', 7, 'message', 'timed out')), NULL)
           FROM runs CROSS JOIN n
          WHERE id BETWEEN {first} AND {last} AND started_at IS NOT NULL AND shard <= total_shards;
         INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
         SELECT id, s.step,
                CASE s.step WHEN 2 THEN created_at WHEN 3 THEN started_at WHEN 4 THEN coalesce(ended_at, cancelled_at) ELSE stop_closed_at END,
                CASE s.step WHEN 2 THEN NULL WHEN 3 THEN 'queued' WHEN 4 THEN iif(started_at IS NULL, 'queued', 'started') ELSE 'cancelled' END,
                CASE s.step WHEN 2 THEN 'queued' WHEN 3 THEN 'started' ELSE state END,
                CASE s.step WHEN 2 THEN 'registered' WHEN 3 THEN 'claimed' WHEN 4 THEN coalesce(cancel_cause, 'finished') ELSE 'stopped' END,
                CASE s.step WHEN 4 THEN coalesce(cancel_by, ended_by) ELSE created_by END,
                CASE s.step WHEN 4 THEN coalesce(cancel_reason, error_code) WHEN 6 THEN stop_outcome END
           FROM runs CROSS JOIN (SELECT 2 AS step UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 6) s
          WHERE id BETWEEN {first} AND {last} AND (s.step <> 3 OR started_at IS NOT NULL) AND (s.step <> 6 OR stop_closed_at IS NOT NULL);
         INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by, request_hash)
         SELECT '1:bulk-' || id, json_array(id), cancelled_at, cancel_by, 'h' FROM runs
          WHERE id BETWEEN {first} AND {last} AND cancel_cause = 'user' AND id % 13 = 0;
         INSERT INTO closed_runs (run_id) SELECT id FROM runs WHERE id BETWEEN {first} AND {last};
         {count}
         DELETE FROM closed_runs;"
    )
}
