//! Shards and the concurrency limits: a run with its shards is one, from the first claim to the last stop.

use serde_json::json;

use super::{Suite, message, passed, shown};
use crate::world::{LEASE, World};

const SCOPES: [&str; 4] = ["none", "project", "environment", "branch_environment"];
const BEHAVIOURS: [&str; 2] = ["cancel_previous", "queue_new"];

fn limited(scope: &str, behaviour: &str) -> World {
    let world = World::new();
    world.sql(&format!(
        "UPDATE projects SET concurrency_scope = '{scope}', concurrency_behaviour = '{behaviour}' WHERE id = 1"
    ));
    world
}

/// A run of three shards that are all claimed, in a project with one run at once.
fn started(behaviour: &str) -> Suite {
    let mut suite =
        Suite::registered(limited("project", behaviour), json!({"environment": "staging", "total_shards": 3}));
    suite.claim_all(1..=3);
    suite
}

/// Another run, after the one of `suite`.
fn next_after(suite: &Suite) -> i64 {
    suite.world.register(&json!({"environment": "staging", "total_shards": 2}))
}

fn claim(suite: &Suite, id: i64) -> &'static str {
    suite.world.ask(&estop::operations::claim::OPERATION, id, &json!({})).outcome
}

#[test]
fn shards_of_one_run_neither_supersede_nor_wait_for_each_other_under_any_limit() {
    for scope in SCOPES {
        for behaviour in BEHAVIOURS {
            let job =
                json!({"environment": "staging", "branch": "main", "total_shards": 4, "group": "g", "attempt": 1});
            let mut suite = Suite::registered(limited(scope, behaviour), job.clone());
            // As four jobs do that start one after the other: each registers and claims while those before it run.
            for shard in 1..=4 {
                assert_eq!(suite.world.register(&job), suite.id, "{scope}, {behaviour}");
                suite.claim_all([shard]);
            }
            for shard in 1..=4 {
                assert_eq!(suite.heartbeat(shard).outcome, "alive", "{scope}, {behaviour}: all run side by side");
            }
            suite.finish_all(1..=4, &passed());
            assert_eq!(suite.shown()["result"], "passed", "{scope}, {behaviour}");
        }
    }
}

#[test]
fn a_run_that_waits_begins_when_the_last_shard_before_it_has_finished() {
    let suite = started("queue_new");
    let next = next_after(&suite);
    for shard in 1..=3 {
        assert_eq!(shown(&suite.world, next)["state"], "pending", "before shard {shard} finishes");
        assert_eq!(claim(&suite, next), "waits");
        suite.finish_all([shard], &passed());
    }
    assert_eq!(shown(&suite.world, next)["state"], "queued");
    assert_eq!(claim(&suite, next), "claimed");
}

#[test]
fn a_shard_that_has_not_come_yet_holds_the_place_of_its_run() {
    let mut suite =
        Suite::registered(limited("project", "queue_new"), json!({"environment": "staging", "total_shards": 2}));
    suite.claim_all([1]);
    let next = next_after(&suite);
    suite.finish_all([1], &passed());
    assert_eq!(claim(&suite, next), "waits");
    suite.claim_all([2]);
    suite.finish_all([2], &passed());
    assert_eq!(claim(&suite, next), "claimed");
}

#[test]
fn a_cancelled_run_holds_its_place_until_its_last_shard_has_stopped() {
    let suite = started("queue_new");
    let next = next_after(&suite);
    suite.cancel();
    for shard in [3, 1, 2] {
        assert_eq!(shown(&suite.world, next)["state"], "pending", "before shard {shard} stops");
        suite.confirm(shard, "graceful");
    }
    assert_eq!(shown(&suite.world, next)["state"], "queued");
}

#[test]
fn of_the_runs_whose_place_one_took_the_newest_twenty_are_told() {
    let world = World::new();
    let next = world.register(&json!({"environment": "staging"}));
    world.sql(&format!(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
           SELECT 1, 1, 'queued', 'h' || value, 1, 'ada', 1 FROM (WITH RECURSIVE n(value) AS \
           (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 25) SELECT value FROM n); \
         UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 2, cancel_cause = 'superseded', \
           cancel_by = 'system:concurrency', cancel_request_id = 'r', stop_outcome = 'never_started', superseded_by = {next} \
          WHERE id > {next}"
    ));
    let newest: Vec<i64> = (next + 6..=next + 25).rev().collect();
    assert_eq!(shown(&world, next)["took_the_place_of"], json!(newest));
}

#[test]
fn a_new_run_supersedes_all_shards_of_the_one_before_and_waits_until_they_have_stopped() {
    let suite = started("cancel_previous");
    let next = next_after(&suite);
    assert_eq!((&suite.shown()["superseded_by"], &suite.shown()["took_the_place_of"]), (&json!(next), &json!([])));
    assert_eq!(shown(&suite.world, next)["took_the_place_of"], json!([suite.id]));
    for shard in 1..=3 {
        let reply = suite.world.ask(&estop::operations::claim::OPERATION, next, &json!({"shard": 2}));
        assert_eq!(reply.outcome, "waits", "before shard {shard} stops");
        let says = message(&reply);
        assert!(says.starts_with(&format!("Test run {next} waits for test run {}:", suite.id)), "{says}");
        assert_eq!(suite.heartbeat(shard).outcome, "told_to_stop");
        suite.confirm(shard, "graceful");
    }
    assert_eq!(claim(&suite, next), "claimed");
}

#[test]
fn one_shard_that_is_alive_keeps_the_place_and_lost_ones_do_not() {
    let suite = started("cancel_previous");
    let next = next_after(&suite);
    suite.world.pass(LEASE);
    suite.heartbeat(2);
    suite.world.pass(suite.world.config.unconfirmed_after);
    assert_eq!(claim(&suite, next), "waits", "1 and 3 are lost, and 2 is not");
    suite.confirm(2, "graceful");
    assert_eq!(claim(&suite, next), "claimed", "it need not wait for the sweeper");
    assert_eq!(suite.shown()["stop"]["outcome"], "lost");
    let outcomes: Vec<_> = (1..=3).map(|shard| suite.shard(shard)["stop"]["outcome"].clone()).collect();
    assert_eq!(json!(outcomes), json!(["lost", "graceful", "lost"]));
}

#[test]
fn a_run_that_waits_is_joined_like_any_other() {
    let suite = started("queue_new");
    let job = json!({"environment": "staging", "total_shards": 2, "group": "g"});
    let waiting = suite.world.register(&job);
    assert_eq!(suite.world.register(&job), waiting, "not superseded by its own shard");
    assert_eq!(shown(&suite.world, waiting)["state"], "pending");
}
