//! A runner that was given up as lost says after all how its tests ended: kept beside the cancel, which stands.

use estop::http::reply::Reply;
use estop::operations::events;
use serde_json::{Value as Json, json};

use super::{Suite, message, passed, sweep};
use crate::world::{Ask, LEASE, MINUTE, data};

const DAY: i64 = 24 * 60 * MINUTE;

/// A run whose shards are all given up as lost.
fn lost(total: i64) -> Suite {
    let suite = Suite::started(total, 1..=total);
    suite.world.pass(LEASE + suite.world.config.lapsed_after);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    suite
}

fn finish(suite: &Suite, shard: i64) -> Reply {
    suite.finish(shard, json!({"state": "ended", "result": "passed", "counts": {"total": 12, "success": 12}}))
}

/// Whether the answer says that the result was kept.
fn is_kept(reply: &Reply) -> bool {
    let body: Json = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(reply.status, 412, "the run stays cancelled: {reply:?}");
    body["late_result_kept"].as_bool().expect("a word")
}

#[test]
fn the_result_of_a_lost_runner_is_kept_beside_the_cancel() {
    let suite = lost(2);
    let before = suite.shown();
    suite.world.pass(MINUTE);
    let reply = finish(&suite, 2);
    assert!(is_kept(&reply));
    let says = message(&reply);
    assert!(says.ends_with("The result came too late and is kept in the record beside the cancel."), "{says}");
    let at = suite.world.now.get().to_string();
    let counts = json!({"total": 12, "success": 12, "failed": 0, "skipped": 0, "flaky": 0});
    assert_eq!(
        suite.shard(2)["late_result"],
        json!({"state": "ended", "result": "passed", "error_code": null, "counts": counts, "at": at})
    );
    let run = suite.shown();
    assert_eq!(run["stop"]["late_result_at"], at);
    for field in ["state", "result", "counts", "cancel", "finished_shards"] {
        assert_eq!(run[field], before[field], "{field} stands");
    }
    assert_eq!((&run["stop"]["outcome"], &suite.shard(2)["state"]), (&json!("lost"), &json!("cancelled")));
}

#[test]
fn it_is_an_event_of_the_run() {
    let suite = lost(1);
    suite.finish(1, super::broken("worker_interrupted"));
    let events = data(&suite.world.send(&Ask::new(&events::OPERATION).about(suite.id)))["events"].take();
    let last = events.as_array().and_then(|events| events.last()).expect("an event");
    assert_eq!((&last["cause"], &last["reason"]), (&json!("late_result"), &json!("worker_interrupted")));
}

#[test]
fn it_is_kept_once() {
    let suite = lost(1);
    assert!(is_kept(&finish(&suite, 1)));
    let first = suite.shown();
    suite.world.pass(MINUTE);
    assert!(is_kept(&suite.finish(1, super::failed())), "one is");
    assert_eq!(suite.shown(), first, "and it is the first");
}

#[test]
fn each_shard_keeps_its_own_and_the_run_says_when_the_first_came() {
    let suite = lost(3);
    suite.world.pass(MINUTE);
    assert!(is_kept(&finish(&suite, 3)));
    let first = suite.world.now.get().to_string();
    suite.world.pass(MINUTE);
    assert!(is_kept(&finish(&suite, 1)));
    assert_eq!(suite.shown()["stop"]["late_result_at"], first);
    assert_eq!(suite.shard(1)["late_result"]["at"], suite.world.now.get().to_string());
    assert_eq!(suite.shard(2)["late_result"], Json::Null);
}

#[test]
fn it_is_kept_for_seven_days() {
    for (days, kept) in [(7 * DAY - 1, true), (7 * DAY, false)] {
        let suite = lost(1);
        suite.world.pass(days);
        assert_eq!(is_kept(&finish(&suite, 1)), kept, "{days} ms after it was given up");
        assert_eq!(suite.shard(1)["late_result"].is_null(), !kept);
    }
}

#[test]
fn a_runner_that_someone_cancelled_and_the_sweeper_gave_up_is_heard_too() {
    let suite = Suite::started(2, 1..=2);
    suite.cancel();
    suite.confirm(1, "graceful");
    suite.world.pass(LEASE + suite.world.config.unconfirmed_after);
    assert_eq!(sweep(&suite.world).unconfirmed, 1);
    assert!(is_kept(&finish(&suite, 2)));
    assert_eq!(suite.shown()["cancel"]["by"], "ada");
}

#[test]
fn a_runner_that_confirmed_its_stop_has_no_late_result() {
    let suite = Suite::started(1, [1]);
    suite.cancel();
    assert!(!is_kept(&finish(&suite, 1)), "it confirms the stop");
    assert!(!is_kept(&finish(&suite, 1)));
    assert_eq!((&suite.shard(1)["late_result"], &suite.shown()["stop"]["late_result_at"]), (&Json::Null, &Json::Null));
}

#[test]
fn a_runner_whose_shard_was_run_by_another_has_nothing_to_say() {
    let mut suite = Suite::started(1, [1]);
    let first = suite.lease(1).to_owned();
    suite.world.pass(LEASE);
    suite.claim_all([1]);
    suite.world.pass(LEASE + suite.world.config.lapsed_after);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    let mut body = passed();
    body["lease"] = json!(first);
    assert_eq!(suite.world.ask(&estop::operations::finish::OPERATION, suite.id, &body).status, 409);
    assert_eq!(suite.shard(1)["late_result"], Json::Null);
}
