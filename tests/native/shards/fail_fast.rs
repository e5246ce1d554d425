//! `fail_fast`: as soon as so many tests have failed, over all shards, the run is cancelled.

use serde_json::{Value as Json, json};

use super::{Suite, message, passed};
use crate::world::{LEASE, NOW, World, data};

/// A run that is cancelled after so many failed tests, with all of its shards claimed.
fn started(total: i64, fail_fast: i64) -> Suite {
    let body = json!({"environment": "staging", "total_shards": total, "fail_fast": fail_fast});
    let mut suite = Suite::registered(World::new(), body);
    suite.claim_all(1..=total);
    suite
}

fn finish_with_failed(failed: u32) -> Json {
    json!({"state": "ended", "result": if failed > 0 { "failed" } else { "passed" }, "counts": {"total": 50, "failed": failed}})
}

#[test]
fn heartbeats_of_all_shards_add_up_and_the_one_too_many_cancels_the_run() {
    let suite = started(3, 3);
    assert_eq!(suite.heartbeat_with_failed(1, 1).outcome, "renewed");
    assert_eq!(suite.heartbeat_with_failed(2, 1).outcome, "renewed");
    assert_eq!(suite.shown()["state"], "started");
    suite.world.pass(1000);
    let reply = suite.heartbeat_with_failed(1, 2);
    assert_eq!(reply.outcome, "told_to_stop", "the runner learns it at once");
    let run = suite.shown();
    assert_eq!(run["state"], "cancelled");
    assert_eq!(
        run["cancel"],
        json!({"reason": "3 tests failed; fail_fast is 3", "cause": "fail_fast", "by": "system:fail-fast",
               "at": NOW.plus(1000).to_string()})
    );
    for shard in 1..=3 {
        let order = data(&suite.heartbeat(shard))["stop"].take();
        assert_eq!((&order["cause"], &order["by"]), (&json!("fail_fast"), &json!("system:fail-fast")), "shard {shard}");
        suite.confirm(shard, "graceful");
    }
    assert_eq!(suite.shown()["stop"]["outcome"], "graceful");
}

#[test]
fn one_test_is_one_test() {
    let suite = started(2, 1);
    suite.heartbeat_with_failed(2, 1);
    assert_eq!(suite.shown()["cancel"]["reason"], "1 test failed; fail_fast is 1");
}

#[test]
fn more_failed_tests_are_written_at_once_and_nothing_else_is() {
    let suite = started(2, 9);
    let writes = |what: &dyn Fn()| {
        let before = suite.world.runtime.db.borrow().total_changes();
        what();
        suite.world.runtime.db.borrow().total_changes() - before
    };
    suite.world.pass(1000);
    assert_eq!(writes(&|| assert_eq!(suite.heartbeat_with_failed(1, 0).outcome, "alive")), 0);
    assert_eq!(
        writes(&|| assert_eq!(suite.heartbeat_with_failed(1, 2).outcome, "renewed")),
        2,
        "the shard and the run"
    );
    assert_eq!(suite.shard(1)["counts"]["failed"], 2);
    assert_eq!(writes(&|| assert_eq!(suite.heartbeat_with_failed(1, 2).outcome, "alive")), 0, "no more than before");
    assert_eq!(writes(&|| assert_eq!(suite.heartbeat_with_failed(1, 1).outcome, "alive")), 0, "one that was overtaken");
    assert_eq!(suite.shard(1)["counts"]["failed"], 2);
}

#[test]
fn a_finish_with_a_failure_too_many_cancels_the_others_and_stands_itself() {
    let suite = started(3, 2);
    let reply = suite.finish(2, finish_with_failed(2));
    assert_eq!(reply.outcome, "finished");
    let answer = data(&reply);
    assert_eq!((&answer["test_run"]["state"], &answer["shard"]["result"]), (&json!("cancelled"), &json!("failed")));
    let run = suite.shown();
    assert_eq!((&run["cancel"]["cause"], &run["stop"]["outcome"]), (&json!("fail_fast"), &json!("stopping")));
    assert_eq!((&run["finished_shards"], &suite.shard(2)["state"]), (&json!(1), &json!("ended")));
    assert_eq!(suite.heartbeat(1).outcome, "told_to_stop");
}

#[test]
fn the_finish_has_the_last_word_on_how_many_failed() {
    let suite = started(2, 3);
    // A test that failed and passed at its second try, say.
    suite.heartbeat_with_failed(1, 2);
    suite.finish(1, finish_with_failed(0));
    suite.heartbeat_with_failed(2, 2);
    assert_eq!(suite.shown()["state"], "started", "2 failed and not 4");
    suite.heartbeat_with_failed(2, 3);
    assert_eq!(suite.shown()["state"], "cancelled");
}

#[test]
fn a_finish_without_counts_leaves_what_the_heartbeats_said() {
    let suite = started(2, 3);
    suite.heartbeat_with_failed(1, 2);
    suite.finish_all([1], &passed());
    suite.heartbeat_with_failed(2, 1);
    assert_eq!(suite.shown()["cancel"]["reason"], "3 tests failed; fail_fast is 3");
}

#[test]
fn the_last_finish_ends_the_run_however_many_failed() {
    let suite = started(2, 3);
    suite.finish(1, finish_with_failed(2));
    suite.finish(2, finish_with_failed(2));
    let run = suite.shown();
    assert_eq!((&run["state"], &run["result"], &run["cancel"]), (&json!("ended"), &json!("failed"), &Json::Null));
}

#[test]
fn what_a_lost_runner_said_is_forgotten_when_its_shard_is_run_again() {
    let mut suite = started(2, 3);
    suite.heartbeat_with_failed(1, 2);
    suite.world.pass(LEASE);
    suite.claim_all([1]);
    suite.heartbeat_with_failed(2, 2);
    assert_eq!(suite.shown()["state"], "started", "2 failed and not 4");
    suite.heartbeat_with_failed(1, 1);
    assert_eq!(suite.shown()["cancel"]["reason"], "3 tests failed; fail_fast is 3");
}

#[test]
fn without_a_limit_any_number_may_fail() {
    let suite = Suite::started(2, 1..=2);
    assert_eq!(suite.heartbeat_with_failed(1, 1_000_000).outcome, "renewed");
    suite.finish(1, finish_with_failed(1_000_000));
    assert_eq!(suite.shown()["state"], "started");
}

#[test]
fn a_shard_that_comes_after_the_failure_too_many_does_not_begin() {
    let mut suite =
        Suite::registered(World::new(), json!({"environment": "staging", "total_shards": 2, "fail_fast": 1}));
    suite.claim_all([1]);
    suite.finish(1, finish_with_failed(1));
    assert_eq!(suite.shown()["stop"]["outcome"], "never_started", "nobody is left who had to stop");
    let reply = suite.claim(2);
    assert_eq!((reply.status, reply.outcome), (412, "already_over"));
    assert_eq!(message(&reply), format!("Test run {} is over: system:fail-fast cancelled it at {NOW}.", suite.id));
}
