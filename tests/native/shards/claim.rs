//! Who may take a shard, and who may not.

use estop::operations::{claim, heartbeat};
use serde_json::{Value as Json, json};

use super::{Suite, message, passed, sweep};
use crate::world::{Ask, LEASE, NOW, data};

#[test]
fn a_claim_takes_the_first_shard_unless_it_names_another() {
    let suite = Suite::of(2);
    let claim = |body: Json| data(&suite.world.ask(&claim::OPERATION, suite.id, &body));
    let first = claim(json!({"runner": "laptop"}));
    assert_eq!(first["test_run"], json!({"id": suite.id, "state": "started", "shard": 1}));
    assert_eq!(claim(json!({"shard": 2}))["test_run"]["shard"], 2);
    let shown = suite.shown();
    assert_eq!((&shown["shards"][0]["runner"], &shown["shards"][1]["runner"]), (&json!("laptop"), &Json::Null));
}

#[test]
fn the_first_claim_starts_the_run_and_the_others_leave_it_at_that() {
    let mut suite = Suite::of(2);
    suite.claim_all([2]);
    let started_at = suite.shown()["started_at"].clone();
    suite.world.pass(1000);
    suite.claim_all([1]);
    let run = suite.shown();
    assert_eq!((&run["state"], &run["started_at"]), (&json!("started"), &started_at));
    assert_eq!(suite.world.history(suite.id), ["queued", "started"]);
}

#[test]
fn a_shard_that_a_runner_holds_is_refused_and_says_whose_it_is() {
    let mut suite = Suite::started(4, [2]);
    let reply = suite.claim(2);
    assert_eq!((reply.status, reply.outcome), (412, "already_started"));
    assert_eq!(
        message(&reply),
        format!("Shard 2 of 4 of test run {} has a runner already, since {NOW} (machine 2).", suite.id)
    );
    suite.claim_all([3]);
}

#[test]
fn a_shard_that_is_finished_is_refused_and_says_how_it_ended() {
    let mut suite = Suite::started(4, [2]);
    suite.finish_all([2], &passed());
    suite.world.pass(10 * LEASE);
    let reply = suite.claim(2);
    assert_eq!((reply.status, reply.outcome), (412, "already_finished"));
    let says = message(&reply);
    assert!(
        says.starts_with(&format!("Shard 2 of 4 of test run {} is finished already (passed) at {NOW}.", suite.id)),
        "{says}"
    );
}

#[test]
fn a_shard_whose_lease_ran_out_is_taken_over_and_its_first_runner_is_refused_from_then_on() {
    let mut suite = Suite::started(2, [1, 2]);
    let first = suite.lease(1).to_owned();
    suite.world.pass(LEASE - 1);
    suite.heartbeat(2);
    assert_eq!(suite.claim(1).outcome, "already_started", "a moment is left");
    suite.world.pass(1);
    assert_eq!(suite.claim(1).outcome, "claimed");
    assert_ne!(suite.lease(1), first);

    let old = |operation, mut body: Json| {
        body["lease"] = json!(first);
        let reply = suite.world.ask(operation, suite.id, &body);
        assert_eq!((reply.status, reply.outcome), (409, "unknown_lease"), "{reply:?}");
    };
    let before = suite.shown();
    old(&heartbeat::OPERATION, json!({}));
    old(&heartbeat::OPERATION, json!({"counts": {"failed": 9}}));
    old(&estop::operations::finish::OPERATION, passed());
    assert_eq!(suite.shown(), before, "and changes nothing");

    suite.finish_all([1, 2], &passed());
    assert_eq!(suite.shown()["result"], "passed");
}

#[test]
fn a_runner_that_speaks_again_before_another_takes_its_shard_keeps_it() {
    let mut suite = Suite::started(2, [1]);
    suite.world.pass(10 * LEASE);
    assert_eq!(suite.heartbeat(1).outcome, "renewed");
    assert_eq!(suite.claim(1).outcome, "already_started");
}

/// A request can arrive twice, however late the second time.
#[test]
fn a_claim_that_is_repeated_after_its_lease_ran_out_takes_nothing_from_its_own_runner() {
    let suite = Suite::of(2);
    let ask = Ask::new(&claim::OPERATION).about(suite.id).idempotent("k").body(&json!({"runner": "r"}));
    let first = data(&suite.world.send(&ask))["lease"]["token"].clone();
    suite.world.pass(2 * LEASE);
    let again = suite.world.send(&ask);
    assert_eq!((again.status, &data(&again)["lease"]["token"]), (200, &first), "the answer of the first time");
    let beat = suite.world.ask(&heartbeat::OPERATION, suite.id, &json!({"lease": first}));
    assert_eq!(beat.status, 200, "its runner holds it: {beat:?}");
}

#[test]
fn a_lost_shard_of_a_run_that_is_over_is_not_taken_over() {
    let mut suite = Suite::started(2, [1]);
    suite.world.pass(10 * LEASE);
    assert_eq!(sweep(&suite.world).lapsed, 1);
    let reply = suite.claim(1);
    assert_eq!((reply.status, reply.outcome), (412, "already_over"));
}

#[test]
fn a_shard_that_the_run_does_not_have_is_a_mistake_of_the_caller() {
    let mut suite = Suite::of(2);
    let reply = suite.claim(3);
    assert_eq!(reply.status, 400);
    assert_eq!(message(&reply), format!("Field `shard`: expected 1 to 2, the shards of test run {}.", suite.id));
    for shard in [0, -1, 1001] {
        assert_eq!(suite.claim(shard).status, 400, "shard {shard}");
    }
    assert_eq!(suite.shown()["state"], "queued", "nothing was claimed");
}

#[test]
fn a_shard_that_comes_late_is_told_who_cancelled_the_run_and_finds_out_why() {
    let mut suite = Suite::started(4, [1]);
    suite.cancel();
    suite.world.pass(5000);
    for shard in [2, 1, 99] {
        let reply = suite.claim(shard);
        assert_eq!((reply.status, reply.outcome), (412, "already_over"), "shard {shard}");
        assert_eq!(message(&reply), format!("Test run {} is over: ada cancelled it at {NOW}.", suite.id));
    }
    let cancel = &suite.shown()["cancel"];
    assert_eq!(
        (&cancel["reason"], &cancel["cause"], &cancel["by"]),
        (&json!("wrong branch"), &json!("user"), &json!("ada"))
    );
    assert_eq!(suite.shard(2), Json::Null, "it never began");
}

#[test]
fn a_lease_is_of_its_shard_alone() {
    let suite = Suite::started(2, [1, 2]);
    let forged = suite.lease(1).replacen(".1.", ".2.", 1);
    assert_ne!(forged, suite.lease(1), "the token has the shard in it");
    let reply = suite.world.ask(&heartbeat::OPERATION, suite.id, &json!({"lease": forged}));
    assert_eq!((reply.status, reply.outcome), (409, "unknown_lease"));
    let other = suite.world.register(&json!({"environment": "staging", "total_shards": 2}));
    assert_eq!(suite.world.ask(&heartbeat::OPERATION, other, &json!({"lease": suite.lease(1)})).status, 409);
}
