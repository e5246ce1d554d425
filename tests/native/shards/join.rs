//! Jobs that give the same group are one run, and a later attempt goes on where the one before stopped.

use serde_json::{Value as Json, json};

use super::{Suite, failed, message, passed, register, shown};
use crate::world::{Ask, LEASE, World, data};

/// What a job of a CI with three shards registers.
fn job() -> Json {
    json!({"environment": "staging", "total_shards": 3, "group": "github acme/shop 42"})
}

/// The same, with more in it or something else.
fn job_with(more: Json) -> Json {
    let mut body = job();
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

/// The run that a job gets, and whether it was there before.
#[track_caller]
fn registered(world: &World, body: Json) -> (i64, bool) {
    let reply = register(world, body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let data = data(&reply);
    (data["test_run"]["id"].as_i64().expect("an id"), data["joined"].as_bool().expect("a word"))
}

/// The group's first attempt is over: shards 1 and 2 passed, shard 3 did not.
fn after_a_failed_attempt() -> Suite {
    let mut suite = Suite::registered(World::new(), job_with(json!({"attempt": 1})));
    suite.claim_all(1..=3);
    suite.finish(1, json!({"state": "ended", "result": "passed", "counts": {"total": 10, "success": 10}}));
    suite.finish(2, json!({"state": "ended", "result": "passed", "counts": {"total": 20, "success": 20}}));
    suite.finish(3, json!({"state": "ended", "result": "failed", "counts": {"total": 30, "success": 29, "failed": 1}}));
    assert_eq!(suite.shown()["result"], "failed");
    suite
}

fn carried(run: &Json) -> Vec<(i64, bool)> {
    let shards = run["shards"].as_array().expect("shards");
    shards.iter().map(|s| (s["shard"].as_i64().expect("a number"), s["carried"].as_bool().expect("a word"))).collect()
}

#[test]
fn jobs_of_one_group_are_one_run() {
    let world = World::new();
    let (id, joined) = registered(&world, job());
    assert!(!joined, "the first one makes it");
    for _ in 0..3 {
        assert_eq!(registered(&world, job()), (id, true));
    }
    let (other, joined) = registered(&world, job_with(json!({"group": "github acme/shop 43"})));
    assert!(other != id && !joined, "another group is another run");
}

#[test]
fn jobs_without_a_group_never_join() {
    let world = World::new();
    let body = json!({"environment": "staging", "total_shards": 3});
    let (first, second) = (registered(&world, body.clone()), registered(&world, body));
    assert!(first.0 != second.0 && !first.1 && !second.1, "{first:?} {second:?}");
}

#[test]
fn a_job_joins_a_run_that_others_have_started() {
    let mut suite = Suite::registered(World::new(), job());
    suite.claim_all([1]);
    let reply = register(&suite.world, job());
    assert_eq!(data(&reply)["test_run"]["state"], "started");
    suite.claim_all([2]);
    assert_eq!(carried(&suite.shown()), [(1, false), (2, false)]);
}

#[test]
fn the_group_of_another_project_is_another_group() {
    let world = World::new();
    let (id, _) = registered(&world, job());
    let key = world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 2, (1, 1, 1), None, None);
    let body = job_with(json!({"environment": "elsewhere"}));
    let reply = world.send(&Ask::new(&estop::operations::register::OPERATION).with_key(&key).body(&body));
    let data = data(&reply);
    assert!(data["test_run"]["id"] != id && data["joined"] == false, "{data}");
}

#[test]
fn another_environment_in_the_group_is_a_conflict() {
    let world = World::new();
    let (id, _) = registered(&world, job());
    let reply = register(&world, job_with(json!({"environment": "production"})));
    assert_eq!(reply.status, 409);
    assert_eq!(
        message(&reply),
        format!(
            "The group has test run {id}, which has the environment staging. All shards of a run give the same `environment` \
             and `total_shards`; another suite needs another `group`."
        )
    );
}

#[test]
fn another_number_of_shards_in_the_group_is_a_conflict() {
    let world = World::new();
    let (id, _) = registered(&world, job());
    let reply = register(&world, job_with(json!({"total_shards": 4})));
    assert_eq!(reply.status, 409);
    let says = message(&reply);
    assert!(says.starts_with(&format!("The group has test run {id}, which has 3 shards.")), "{says}");
}

#[test]
fn an_attempt_needs_a_group_to_be_one_of() {
    for field in ["attempt", "shard"] {
        let reply = register(&World::new(), json!({"environment": "staging", field: 1}));
        assert_eq!(reply.status, 400);
        assert!(message(&reply).contains(&format!("`{field}`")), "{reply:?}");
    }
}

#[test]
fn a_later_attempt_joins_the_run_while_it_is_open() {
    let mut suite = Suite::registered(World::new(), job_with(json!({"attempt": 1})));
    suite.claim_all([1]);
    // The machine of shard 1 went away, and the CI runs that job again.
    suite.world.pass(LEASE);
    assert_eq!(registered(&suite.world, job_with(json!({"attempt": 2}))), (suite.id, true));
    let body = json!({"shard": 1, "attempt": 2});
    assert_eq!(suite.world.ask(&estop::operations::claim::OPERATION, suite.id, &body).outcome, "claimed");
    assert_eq!(suite.shown()["attempt"], 2, "the run is of the latest attempt that has a shard of it");
    assert_eq!(registered(&suite.world, job_with(json!({"attempt": 1}))), (suite.id, true), "so does a late one");
}

#[test]
fn a_later_attempt_of_a_run_that_is_over_makes_a_new_one_with_what_passed() {
    let first = after_a_failed_attempt();
    let (id, joined) = registered(&first.world, job_with(json!({"attempt": 2})));
    assert!(id != first.id && !joined);
    assert_eq!(registered(&first.world, job_with(json!({"attempt": 2}))), (id, true), "the next job joins that");
    let run = shown(&first.world, id);
    assert_eq!((&run["state"], &run["attempt"], &run["finished_shards"]), (&json!("queued"), &json!(2), &json!(2)));
    assert_eq!(carried(&run), [(1, true), (2, true)], "shard 3 is to be run again");
}

#[test]
fn running_the_failed_job_again_ends_the_new_run_with_the_counts_of_all() {
    let first = after_a_failed_attempt();
    let mut second = Suite::registered(first.world, job_with(json!({"attempt": 2})));
    second.claim_all([3]);
    second.finish(3, json!({"state": "ended", "result": "passed", "counts": {"total": 30, "success": 30}}));
    let run = second.shown();
    assert_eq!(
        (&run["state"], &run["result"], &run["finished_shards"]),
        (&json!("ended"), &json!("passed"), &json!(3))
    );
    assert_eq!(run["counts"], json!({"total": 60, "success": 60, "failed": 0, "skipped": 0, "flaky": 0}));
}

#[test]
fn what_passed_is_carried_through_every_attempt() {
    let first = after_a_failed_attempt();
    let mut second = Suite::registered(first.world, job_with(json!({"attempt": 2})));
    second.claim_all([3]);
    second.finish_all([3], &failed());
    let (third, _) = registered(&second.world, job_with(json!({"attempt": 3})));
    assert_eq!(carried(&shown(&second.world, third)), [(1, true), (2, true)]);
}

#[test]
fn a_shard_that_was_carried_may_be_run_again_after_all() {
    let first = after_a_failed_attempt();
    let mut second = Suite::registered(first.world, job_with(json!({"attempt": 2})));
    second.claim_all([1, 3]);
    assert_eq!(carried(&second.shown()), [(1, false), (2, true), (3, false)]);
    assert_eq!(second.shown()["finished_shards"], 1);
    second.finish_all([1, 3], &passed());
    assert_eq!(second.shown()["result"], "passed");
}

#[test]
fn if_all_shards_passed_all_are_run_again() {
    let mut first = Suite::registered(World::new(), job_with(json!({"attempt": 1})));
    first.claim_all(1..=3);
    first.finish_all(1..=3, &passed());
    let (second, joined) = registered(&first.world, job_with(json!({"attempt": 2})));
    assert!(!joined);
    assert_eq!(carried(&shown(&first.world, second)), []);
}

#[test]
fn an_attempt_over_other_shards_or_another_environment_carries_nothing() {
    for other in [json!({"total_shards": 4}), json!({"total_shards": 2}), json!({"environment": "production"})] {
        let first = after_a_failed_attempt();
        let mut body = job_with(json!({"attempt": 2}));
        body.as_object_mut().expect("an object").extend(other.as_object().expect("an object").clone());
        let (id, _) = registered(&first.world, body);
        assert_eq!(carried(&shown(&first.world, id)), [], "shard 1 of 3 on staging is not a shard of {other}");
    }
}

#[test]
fn a_late_job_of_the_same_attempt_joins_the_run_that_is_over() {
    let first = after_a_failed_attempt();
    assert_eq!(registered(&first.world, job_with(json!({"attempt": 1}))), (first.id, true));
}

/// GitLab, say: its jobs know their shard, and not how often they were tried.
#[test]
fn without_attempts_a_job_whose_shard_ran_before_makes_a_later_one() {
    let mut first = Suite::registered(World::new(), job());
    first.claim_all([1, 2]);
    first.finish_all([1], &passed());
    first.finish_all([2], &failed());
    assert_eq!(registered(&first.world, job_with(json!({"shard": 2}))), (first.id, true), "the run is still open");
    first.cancel();
    assert_eq!(
        registered(&first.world, job_with(json!({"shard": 3}))),
        (first.id, true),
        "shard 3 never ran, so this is the first try of it, and comes late"
    );
    let (id, joined) = registered(&first.world, job_with(json!({"shard": 2})));
    assert!(id != first.id && !joined, "shard 2 ran, so this is a second try");
    let run = shown(&first.world, id);
    assert_eq!((&run["attempt"], carried(&run)), (&json!(2), vec![(1, true)]));
}
