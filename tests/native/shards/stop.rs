//! One cancel stops every shard, and the stop record says when the last of them has stopped, and how the worst did.

use estop::operations::{events, kill};
use serde_json::{Value as Json, json};

use super::{Suite, passed, sweep};
use crate::world::{Ask, LEASE, data};

/// From the mildest to the worst.
const OUTCOMES: [&str; 4] = ["graceful", "terminated", "killed", "lost"];

fn outcome(suite: &Suite) -> Json {
    suite.shown()["stop"]["outcome"].clone()
}

/// The runners stop so, in the order of `shards`; those that are lost last, as the sweeper has to wait for that.
fn stop(suite: &Suite, shards: &[(i64, &str)]) {
    for (shard, how) in shards.iter().filter(|(_, how)| *how != "lost") {
        suite.confirm(*shard, how);
    }
    let lost = shards.iter().filter(|(_, how)| *how == "lost").count();
    suite.world.pass(LEASE + suite.world.config.unconfirmed_after);
    assert_eq!(sweep(&suite.world).unconfirmed, lost);
}

#[test]
fn every_runner_is_told_to_stop_by_whom_and_why() {
    let suite = Suite::started(3, 1..=3);
    suite.cancel();
    for shard in 1..=3 {
        let reply = suite.heartbeat(shard);
        assert_eq!((reply.status, reply.outcome), (200, "told_to_stop"));
        let order = &data(&reply)["stop"];
        assert_eq!(
            (&order["by"], &order["reason"], &order["cause"]),
            (&json!("ada"), &json!("wrong branch"), &json!("user"))
        );
    }
}

#[test]
fn a_stop_is_as_bad_as_the_worst_of_its_shards() {
    for (i, first) in OUTCOMES.iter().enumerate() {
        for (j, second) in OUTCOMES.iter().enumerate() {
            let suite = Suite::started(2, 1..=2);
            suite.cancel();
            stop(&suite, &[(1, *first), (2, *second)]);
            assert_eq!(outcome(&suite), OUTCOMES[i.max(j)], "{first} and {second}");
            assert_eq!(suite.shard(1)["stop"]["outcome"], *first, "each shard has its own");
            assert_eq!(suite.shard(2)["stop"]["outcome"], *second);
        }
    }
}

#[test]
fn the_record_closes_with_the_last_shard() {
    let suite = Suite::started(3, 1..=3);
    suite.cancel();
    for (shard, how) in [(2, "killed"), (1, "graceful"), (3, "terminated")] {
        let stop = &suite.shown()["stop"];
        assert_eq!(
            (&stop["outcome"], &stop["confirmed_at"]),
            (&json!("stopping"), &Json::Null),
            "before shard {shard}"
        );
        assert_eq!(suite.shard(shard)["stop"]["outcome"], "stopping");
        suite.world.pass(1000);
        suite.confirm(shard, how);
        assert_eq!(suite.shard(shard)["stop"]["outcome"], how);
    }
    let stop = &suite.shown()["stop"];
    assert_eq!((&stop["outcome"], &stop["duration_ms"]), (&json!("killed"), &json!(3000)));
    assert_eq!(stop["confirmed_at"], suite.shard(3)["stop"]["confirmed_at"]);
    let events = data(&suite.world.send(&Ask::new(&events::OPERATION).about(suite.id)))["events"].take();
    let stopped: Vec<_> =
        events.as_array().expect("events").iter().filter(|event| event["cause"] == "stopped").collect();
    assert_eq!((stopped.len(), &stopped[0]["reason"]), (1, &json!("killed")), "and that is one event");
}

#[test]
fn a_lost_shard_leaves_the_others_their_time() {
    let suite = Suite::started(2, 1..=2);
    suite.cancel();
    suite.world.pass(LEASE);
    suite.heartbeat(1);
    suite.world.pass(suite.world.config.unconfirmed_after);
    assert_eq!(sweep(&suite.world).unconfirmed, 1);
    assert_eq!((outcome(&suite), &suite.shard(2)["stop"]["outcome"]), (json!("stopping"), &json!("lost")));
    suite.confirm(1, "graceful");
    assert_eq!(outcome(&suite), "lost");
}

#[test]
fn a_shard_that_had_finished_before_keeps_its_result_and_does_not_count() {
    let suite = Suite::started(3, 1..=3);
    suite.finish_all([1], &passed());
    suite.cancel();
    stop(&suite, &[(2, "graceful"), (3, "terminated")]);
    assert_eq!(outcome(&suite), "terminated");
    let first = suite.shard(1);
    assert_eq!((&first["state"], &first["result"], &first["stop"]), (&json!("ended"), &json!("passed"), &Json::Null));
}

#[test]
fn a_run_of_which_no_runner_held_a_shard_was_never_started_to_be_stopped() {
    let suite = Suite::of(2);
    suite.cancel();
    assert_eq!(outcome(&suite), "never_started");

    let suite = Suite::started(2, [1]);
    suite.finish_all([1], &passed());
    suite.cancel();
    assert_eq!(outcome(&suite), "never_started", "shard 1 was over, and shard 2 had not begun");
}

#[test]
fn a_shard_that_was_never_claimed_is_not_awaited() {
    let suite = Suite::started(3, [2]);
    suite.cancel();
    suite.confirm(2, "graceful");
    assert_eq!(outcome(&suite), "graceful");
}

#[test]
fn a_shard_confirms_once() {
    let suite = Suite::started(2, 1..=2);
    suite.cancel();
    suite.confirm(1, "graceful");
    let before = suite.shown();
    suite.confirm(1, "killed");
    assert_eq!(suite.shown(), before);
    assert_eq!(suite.heartbeat(1).status, 409, "it has no more to ask");
}

#[test]
fn a_kill_reaches_every_shard_that_is_still_stopping() {
    let suite = Suite::started(3, 1..=3);
    assert_eq!(suite.world.ask(&kill::OPERATION, suite.id, &json!({})).status, 412, "it is not stopping");
    suite.cancel();
    suite.confirm(1, "graceful");
    assert_eq!(data(&suite.heartbeat(2))["stop"]["kill"], false);
    assert_eq!(suite.world.ask(&kill::OPERATION, suite.id, &json!({})).status, 200);
    let ordered = suite.shown()["stop"]["kill"].clone();
    suite.world.pass(1000);
    assert_eq!(suite.world.ask(&kill::OPERATION, suite.id, &json!({})).status, 200);
    assert_eq!(suite.shown()["stop"]["kill"], ordered, "a second order adds nothing to the first");
    for shard in 2..=3 {
        assert_eq!(data(&suite.heartbeat(shard))["stop"]["kill"], true);
        suite.confirm(shard, "killed");
    }
    assert_eq!(outcome(&suite), "killed");
    assert_eq!(suite.world.ask(&kill::OPERATION, suite.id, &json!({})).status, 412, "it has stopped");
}

/// D1 bills each row; `tests/http/budget` measures that, and this says why it cannot depend on the shards.
#[test]
fn a_cancel_writes_the_same_rows_for_one_shard_and_for_sixty_four() {
    let writes = |shards: i64| {
        let suite = Suite::started(shards, 1..=shards);
        let before = suite.world.runtime.db.borrow().total_changes();
        assert_eq!(suite.cancel().status, 200);
        suite.world.runtime.db.borrow().total_changes() - before
    };
    assert_eq!((writes(1), writes(64)), (2, 2), "the run and its event");
}
