//! Shards of which nothing is heard: when the sweeper cancels their run, and what it says.

use estop::run::Timeout;
use estop::sweeper::Tally;
use serde_json::json;

use super::{Suite, passed, sweep};
use crate::world::{LEASE, MINUTE, NOW, World};

fn nothing() -> Tally {
    Tally::default()
}

/// Why the run was cancelled, if the sweeper did it.
fn reason(suite: &Suite) -> String {
    let cancel = &suite.shown()["cancel"];
    assert_eq!((&cancel["cause"], &cancel["by"]), (&json!("stale"), &json!("system:sweeper")));
    cancel["reason"].as_str().expect("a reason").to_owned()
}

/// Whether the statements themselves leave the run alone, and not only the question whether there is anything to do.
fn is_spared(suite: &Suite) -> bool {
    let timeouts = [Timeout::Unclaimed, Timeout::Lapsed, Timeout::Incomplete, Timeout::OverAge];
    let Suite { world, .. } = suite;
    timeouts.iter().all(|timeout| world.sweep_at(*timeout, world.now.get(), world.config.timeout(*timeout)).is_empty())
}

#[test]
fn the_reason_names_the_shards_that_are_lost_and_those_that_never_came() {
    let suite = Suite::started(4, 1..=3);
    suite.finish_all(1..=2, &passed());
    suite.world.pass(6 * MINUTE);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    assert_eq!(
        reason(&suite),
        "shard 3 of 4: no heartbeat for at least 5 min 0 s; shard 4 of 4: never claimed",
        "6 minutes since its claim, less half a lease"
    );
    assert_eq!(suite.shown()["stop"]["outcome"], "lost");
    let outcomes: Vec<_> = (1..=4).map(|shard| suite.shard(shard)["state"].clone()).collect();
    assert_eq!(json!(outcomes), json!(["ended", "ended", "cancelled", null]), "what has ended stays so");
}

#[test]
fn each_lost_shard_has_a_silence_of_its_own() {
    let mut suite = Suite::started(3, [1]);
    suite.world.pass(MINUTE);
    suite.claim_all([2]);
    suite.world.pass(2 * MINUTE + 15_000);
    suite.heartbeat(1);
    suite.world.pass(MINUTE);
    suite.claim_all([3]);
    suite.finish_all([3], &passed());
    suite.world.pass(3 * MINUTE);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    assert_eq!(
        reason(&suite),
        "shard 1 of 3: no heartbeat for at least 3 min 0 s; shard 2 of 3: no heartbeat for at least 5 min 15 s"
    );
}

#[test]
fn a_run_of_one_shard_does_not_number_it() {
    let suite = Suite::started(1, [1]);
    suite.world.pass(6 * MINUTE);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    assert_eq!(reason(&suite), "no heartbeat for at least 5 min 0 s");
}

#[test]
fn one_live_shard_keeps_the_run_of_the_others_open() {
    let suite = Suite::started(3, 1..=2);
    // Shard 2 is silent and shard 3 never comes, for far longer than any timeout allows.
    while suite.world.now.get().since(NOW) < suite.world.config.unclaimed_after + 10 * MINUTE {
        suite.world.pass(LEASE);
        assert_eq!(suite.heartbeat(1).outcome, "renewed");
        assert_eq!(sweep(&suite.world), nothing());
        assert!(is_spared(&suite), "also in a tick that has others to sweep");
    }
    suite.world.pass(LEASE + suite.world.config.lapsed_after - 1);
    assert_eq!(sweep(&suite.world), nothing(), "its lease, and the time after it, have not quite run out");
    suite.world.pass(1);
    assert_eq!(sweep(&suite.world).lapsed, 1);
}

#[test]
fn a_shard_that_finishes_is_a_sign_of_life_as_well() {
    let suite = Suite::started(2, 1..=2);
    suite.world.pass(10 * MINUTE);
    suite.finish_all([1], &passed());
    suite.world.pass(suite.world.config.lapsed_after - 1);
    assert!(sweep(&suite.world) == nothing() && is_spared(&suite));
    suite.world.pass(1);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    assert_eq!(reason(&suite), "shard 2 of 2: no heartbeat for at least 9 min 30 s", "less half a lease");
}

#[test]
fn a_shard_that_is_taken_over_keeps_the_run_open() {
    let mut suite = Suite::started(2, 1..=2);
    suite.finish_all([1], &passed());
    suite.world.pass(LEASE + suite.world.config.lapsed_after - 1);
    suite.claim_all([2]);
    suite.world.pass(1);
    assert_eq!(sweep(&suite.world), nothing());
    suite.finish_all([2], &passed());
    assert_eq!(suite.shown()["result"], "passed");
}

#[test]
fn shards_may_come_in_turn_and_the_last_ones_are_waited_for_as_long_as_for_a_first() {
    let mut suite = Suite::of(4);
    let unclaimed_after = suite.world.config.unclaimed_after;
    // Two machines for four shards, one of which has no more work afterwards.
    for shard in 1..=2 {
        suite.world.pass(unclaimed_after - 1);
        assert_eq!(sweep(&suite.world), nothing());
        suite.claim_all([shard]);
        suite.finish_all([shard], &passed());
    }
    suite.world.pass(unclaimed_after - 1);
    assert!(sweep(&suite.world) == nothing() && is_spared(&suite));
    suite.world.pass(1);
    assert_eq!(sweep(&suite.world), Tally { incomplete: 1, counted: 1, rounds: 1, ..nothing() });
    assert_eq!(reason(&suite), "shard 3 of 4: never claimed; shard 4 of 4: never claimed");
    let run = suite.shown();
    assert_eq!(run["stop"]["outcome"], "never_started", "no runner held any of it then, so none is awaited");
    assert_eq!((&suite.shard(1)["result"], &run["finished_shards"]), (&json!("passed"), &json!(2)));
}

#[test]
fn a_run_of_which_no_shard_ever_came_is_unclaimed_as_before() {
    let suite = Suite::of(4);
    suite.world.pass(suite.world.config.unclaimed_after);
    assert_eq!(sweep(&suite.world).unclaimed, 1);
    assert_eq!(reason(&suite), "no runner claimed it for 1 h 0 min");
}

#[test]
fn a_shard_that_was_carried_is_neither_lost_nor_awaited() {
    let body = |attempt: i64| json!({"environment": "staging", "total_shards": 2, "group": "g", "attempt": attempt});
    let mut first = Suite::registered(World::new(), body(1));
    first.claim_all(1..=2);
    first.finish_all([1], &passed());
    first.finish_all([2], &super::failed());
    let mut second = Suite::registered(first.world, body(2));
    // Shard 1 ended an hour ago, in the first attempt; that does not make the second one stale.
    second.world.pass(second.world.config.unclaimed_after - 1);
    second.claim_all([2]);
    second.world.pass(MINUTE);
    assert_eq!(sweep(&second.world), Tally { counted: 1, ..nothing() }, "the first one");
    second.world.pass(LEASE + second.world.config.lapsed_after);
    assert_eq!(sweep(&second.world).lapsed, 1);
    assert_eq!(reason(&second), "shard 2 of 2: no heartbeat for at least 2 min 30 s");
}

#[test]
fn of_each_kind_the_first_eight_shards_are_named() {
    let suite = Suite::started(30, 5..=19);
    suite.world.pass(6 * MINUTE);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    let named = |shards: Vec<i64>, words: &str| -> Vec<String> {
        shards.iter().map(|shard| format!("shard {shard} of 30: {words}")).collect()
    };
    let lost = named((5..=12).collect(), "no heartbeat for at least 5 min 0 s");
    let never = named(vec![1, 2, 3, 4, 20, 21, 22, 23], "never claimed");
    assert_eq!(reason(&suite), [lost, never].concat().join("; "));
    // Named or not, all of them are given up.
    assert!((5..=19).all(|shard| suite.shard(shard)["stop"]["outcome"] == "lost"));
}

#[test]
fn of_many_shards_that_never_came_the_first_eight_are_named() {
    let suite = Suite::started(1000, [2]);
    suite.finish_all([2], &passed());
    suite.world.pass(suite.world.config.unclaimed_after);
    assert_eq!(sweep(&suite.world).incomplete, 1);
    let never: Vec<String> =
        [1, 3, 4, 5, 6, 7, 8, 9].iter().map(|shard| format!("shard {shard} of 1000: never claimed")).collect();
    assert_eq!(reason(&suite), never.join("; "));
}

#[test]
fn a_run_that_goes_on_too_long_is_stopped_on_all_its_machines() {
    let suite = Suite::started(2, 1..=2);
    while suite.world.now.get().since(NOW) < suite.world.config.over_age_after {
        assert_eq!(sweep(&suite.world), nothing());
        suite.world.pass(LEASE);
        suite.heartbeat(1);
        suite.heartbeat(2);
    }
    assert_eq!(sweep(&suite.world).over_age, 1);
    for shard in 1..=2 {
        assert_eq!(suite.heartbeat(shard).outcome, "told_to_stop");
    }
}
