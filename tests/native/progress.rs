//! How far tests are and which have failed: what heartbeats and finishes say of it, when it is written, and who reads it.

use estop::operations::{failures, finish, heartbeat};
use estop_protocol::failures::Failures;
use estop_protocol::show::Shown;
use serde_json::{Value, json};

use crate::answers::read;
use crate::shards::{Suite, message, passed};
use crate::world::{Ask, LEASE, World, data};

/// A heartbeat of a shard with `body` beside its lease.
fn beat(suite: &Suite, shard: i64, mut body: Value) -> estop::http::reply::Reply {
    body["lease"] = json!(suite.lease(shard));
    suite.world.ask(&heartbeat::OPERATION, suite.id, &body)
}

fn progress(done: u32, failed: u32) -> Value {
    json!({"total": 412, "done": done, "failed": failed, "flaky": 1, "skipped": 3, "current": "checkout › pays"})
}

fn listed(suite: &Suite) -> Vec<Value> {
    let reply = suite.world.send(&Ask::new(&failures::OPERATION).about(suite.id));
    assert_eq!(reply.status, 200, "{reply:?}");
    let Failures { failures } = read(data(&reply));
    failures.into_iter().map(|failure| json!([failure.shard, failure.title, failure.file, failure.line])).collect()
}

fn writes<T>(suite: &Suite, what: impl FnOnce() -> T) -> u64 {
    let before = suite.world.runtime.db.borrow().total_changes();
    what();
    suite.world.runtime.db.borrow().total_changes() - before
}

#[test]
fn progress_is_written_with_the_lease_and_by_itself_nothing_is() {
    let suite = Suite::started(1, [1]);
    let said = || beat(&suite, 1, json!({"progress": progress(170, 0), "failures": [{"title": "never mind"}]}));
    assert_eq!(writes(&suite, || assert_eq!(said().outcome, "alive")), 0);
    assert_eq!((suite.shard(1)["progress"].clone(), listed(&suite)), (Value::Null, vec![]));
    suite.world.pass(LEASE / 2 + 1);
    assert_eq!(writes(&suite, || assert_eq!(said().outcome, "renewed")), 1, "the row that is written anyway");
    let shown = suite.shard(1);
    assert_eq!(shown["progress"], progress(170, 0));
    assert_eq!(shown["counts"], json!({"total": 412, "success": 166, "failed": 0, "skipped": 3, "flaky": 1}));
    assert_eq!(listed(&suite), [json!([1, "never mind", null, null])]);
    let Shown { test_run } = read(json!({"test_run": suite.shown()}));
    assert_eq!(test_run.shards()[0].progress.as_ref().map(|progress| progress.done), Some(170));
    suite.world.pass(LEASE / 2 + 1);
    assert_eq!(suite.heartbeat(1).outcome, "renewed");
    assert_eq!(suite.shard(1)["progress"], progress(170, 0), "what is left out stays");
    beat(&suite, 1, json!({"progress": {"done": 171}}));
}

#[test]
fn more_failed_tests_are_written_at_once_with_their_titles() {
    let suite = Suite::started(2, [1, 2]);
    suite.world.pass(1000);
    let one = json!([{"title": "pays", "file": "checkout.spec.ts", "line": 12, "message": "expected 3\n\tto be 4"}]);
    assert_eq!(beat(&suite, 2, json!({"progress": progress(5, 1), "failures": one})).outcome, "renewed");
    assert_eq!(listed(&suite), [json!([2, "pays", "checkout.spec.ts", 12])]);
    assert_eq!(
        beat(&suite, 2, json!({"progress": progress(5, 1), "failures": []})).outcome,
        "alive",
        "no more than before"
    );
    assert_eq!(listed(&suite).len(), 1);
    beat(&suite, 2, json!({"progress": progress(9, 2), "failures": []}));
    assert_eq!(listed(&suite).len(), 0, "one that passed at its second try is taken back");
}

#[test]
fn counts_that_are_given_count_and_without_them_they_are_made_of_the_progress() {
    let suite = Suite::started(2, [1, 2]);
    let counts = json!({"total": 9, "success": 5, "failed": 4, "skipped": 0, "flaky": 0});
    suite.finish(1, json!({"state": "ended", "result": "failed", "progress": progress(412, 2), "counts": counts}));
    assert_eq!(suite.shard(1)["counts"], counts);
    suite.finish(2, json!({"state": "ended", "result": "failed", "progress": {"done": 7, "failed": 1, "skipped": 2}}));
    assert_eq!(suite.shard(2)["counts"], json!({"total": 7, "success": 4, "failed": 1, "skipped": 2, "flaky": 0}));
    let expected = json!({"total": 16, "success": 9, "failed": 5, "skipped": 2, "flaky": 0});
    assert_eq!(suite.shown()["counts"], expected, "the sum of the shards");
}

#[test]
fn fail_fast_goes_by_the_progress() {
    let mut suite =
        Suite::registered(World::new(), json!({"environment": "staging", "total_shards": 2, "fail_fast": 3}));
    suite.claim_all([1, 2]);
    assert_eq!(beat(&suite, 1, json!({"progress": progress(5, 2)})).outcome, "renewed");
    assert_eq!(suite.shown()["state"], "started");
    assert_eq!(beat(&suite, 2, json!({"progress": progress(5, 1)})).outcome, "told_to_stop");
    assert_eq!(suite.shown()["cancel"]["reason"], "3 tests failed; fail_fast is 3");
}

#[test]
fn a_stop_is_confirmed_with_how_far_the_tests_came() {
    let suite = Suite::started(1, [1]);
    assert_eq!(suite.cancel().status, 200);
    let failures = json!([{"title": "pays"}]);
    let body = json!({"state": "ended", "result": "failed", "progress": progress(170, 1), "failures": failures,
                      "stop": {"outcome": "graceful"}});
    assert_eq!(writes(&suite, || assert_eq!(suite.finish(1, body).outcome, "already_over")), 4);
    let shard = suite.shard(1);
    assert_eq!((&shard["stop"]["outcome"], &shard["progress"]["done"]), (&json!("graceful"), &json!(170)));
    assert_eq!((&shard["counts"]["failed"], listed(&suite).len()), (&json!(1), 1));
}

#[test]
fn a_shard_that_is_closed_says_no_more() {
    let suite = Suite::started(2, [1]);
    suite.finish(1, json!({"state": "ended", "result": "passed", "progress": progress(412, 0)}));
    let before = suite.shard(1);
    assert_eq!(beat(&suite, 1, json!({"progress": progress(1, 1), "failures": [{"title": "x"}]})).status, 409);
    assert_eq!((suite.shard(1), listed(&suite).len()), (before, 0));
}

#[test]
fn what_a_lost_runner_said_is_forgotten_when_its_shard_is_run_again() {
    let mut suite = Suite::started(1, [1]);
    beat(&suite, 1, json!({"progress": progress(5, 1), "failures": [{"title": "pays"}]}));
    suite.world.pass(LEASE);
    suite.claim_all([1]);
    assert_eq!((suite.shard(1)["progress"].clone(), listed(&suite).len()), (Value::Null, 0));
}

#[test]
fn the_first_fifty_of_all_shards_are_listed_in_the_order_in_which_they_failed() {
    let suite = Suite::started(3, [1, 2, 3]);
    let titles = |shard: i64, from: usize| -> Value {
        (0..from).rev().map(|n| json!({"title": format!("{shard}.{n:02}")})).collect()
    };
    for shard in [3, 1, 2] {
        beat(&suite, shard, json!({"progress": progress(50, 20), "failures": titles(shard, 20)}));
    }
    let listed = listed(&suite);
    assert_eq!(listed.len(), 50);
    let first: Vec<&Value> = listed.iter().map(|failure| &failure[1]).collect();
    assert_eq!(
        (first[0], first[19], first[20], first[49]),
        (&json!("1.19"), &json!("1.00"), &json!("2.19"), &json!("3.10"))
    );
}

#[test]
fn bad_progress_and_bad_failures_are_refused_by_name_and_write_nothing() {
    let suite = Suite::started(1, [1]);
    let before = suite.shown();
    let many: Value = (0..51).map(|n| json!({"title": n.to_string()})).collect();
    let large: Value = (0..50).map(|n| json!({"title": n.to_string(), "message": "x".repeat(1000)})).collect();
    for (body, field) in [
        (json!({"progress": {"done": -1}}), "progress.done"),
        (json!({"progress": {"done": 1.5}}), "progress.done"),
        (json!({"progress": {"total": 4_294_967_296_i64}}), "progress.total"),
        (json!({"progress": {"total": "7"}}), "progress.total"),
        (json!({"progress": {"finished": 7}}), "progress.finished"),
        (json!({"progress": {"current": "x".repeat(501)}}), "progress.current"),
        (json!({"progress": {"current": "a\nb"}}), "progress.current"),
        (json!({"progress": 7}), "progress"),
        (json!({"failures": [{}]}), "title"),
        (json!({"failures": [{"title": " "}]}), "failures.title"),
        (json!({"failures": [{"title": "x".repeat(501)}]}), "failures.title"),
        (json!({"failures": [{"title": "x", "file": "a\u{7}"}]}), "failures.file"),
        (json!({"failures": [{"title": "x", "line": -1}]}), "line"),
        (json!({"failures": [{"title": "x", "message": "x".repeat(2001)}]}), "failures.message"),
        (json!({"failures": [{"title": "x", "message": "\u{1b}[31m"}]}), "failures.message"),
        (json!({"failures": [{"title": "x", "where": "y"}]}), "where"),
        (json!({"failures": many}), "failures"),
        (json!({"failures": large}), "failures"),
    ] {
        for operation in [&heartbeat::OPERATION, &finish::OPERATION] {
            let mut body = body.clone();
            body["lease"] = json!(suite.lease(1));
            if operation.name() == finish::OPERATION.name() {
                body["state"] = json!("ended");
                body["result"] = json!("passed");
            }
            suite.world.pass(LEASE);
            let reply = suite.world.ask(operation, suite.id, &body);
            assert_eq!(reply.status, 400, "{body}: {reply:?}");
            assert!(message(&reply).contains(field), "{field}: {reply:?}");
        }
    }
    assert_eq!(suite.shown(), before);
    suite.finish_all([1], &passed());
}
