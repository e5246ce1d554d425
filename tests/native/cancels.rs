//! Who stopped what: order, pages, filters, and how each run stopped.

use estop::operations::{cancel, cancels, finish};
use estop::run::Timeout;
use estop_protocol::cancels::CancelList;
use estop_protocol::run::State;
use serde_json::{Value, json};

use crate::answers;
use crate::world::{Ask, Run, World};

fn page(world: &World, query: &str) -> CancelList {
    let reply = world.send(&Ask::new(&cancels::OPERATION).query(query));
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    answers::read(serde_json::from_str(&reply.body).expect("JSON"))
}

fn ids(page: &CancelList) -> Vec<i64> {
    page.data.cancels.iter().map(|cancel| cancel.test_run.id).collect()
}

/// A run, cancelled now.
fn cancelled(world: &World, from: State) -> Run {
    let run = world.run_in(from);
    assert_eq!(world.ask(&cancel::OPERATION, run.id, &json!({"reason": "why"})).status, 200);
    run
}

#[test]
fn the_newest_cancel_comes_first_with_who_why_and_how_it_stopped() {
    let world = World::new();
    let waiting = world.run_in(State::Queued);
    let run = cancelled(&world, State::Started);
    world.pass(2_100);
    let confirm = json!({"lease": run.token, "state": "ended", "result": "passed", "stop": {"outcome": "graceful"}});
    assert_eq!(world.ask(&finish::OPERATION, run.id, &confirm).status, 412);
    assert_eq!(world.ask(&cancel::OPERATION, waiting.id, &json!({})).status, 200);
    let stopping = cancelled(&world, State::Started);
    world.run_in(State::Ended);
    let reply = world.send(&Ask::new(&cancels::OPERATION));
    let json: Value = serde_json::from_str(&reply.body).expect("JSON");
    let found = &json["data"]["cancels"];
    let listed = page(&world, "");
    assert_eq!(ids(&listed), [stopping.id, waiting.id, run.id], "by the cancel, not by the run; and no run that ended");
    assert_eq!(
        found[2]["cancel"],
        json!({"reason": "why", "cause": "user", "by": "ada", "at": world.now.get().plus(-2_100)})
    );
    assert_eq!(found[2]["stop"], json!({"outcome": "graceful", "confirmed_at": world.now.get()}));
    assert_eq!(found[2]["stop_ms"], 2_100);
    assert_eq!(found[2]["test_run"]["environment"], json!({"id": 1, "name": "Staging", "slug": "staging"}));
    assert_eq!((&found[1]["stop"]["outcome"], &found[1]["stop_ms"]), (&json!("never_started"), &json!(null)));
    assert_eq!((&found[0]["stop"]["outcome"], &found[0]["stop_ms"]), (&json!("stopping"), &json!(null)));
    assert_eq!(json["pagination"], json!({"per_page": 20, "next_before": null}));
}

#[test]
fn a_runner_that_was_lost_has_not_stopped() {
    let world = World::new();
    let lost = world.run_in(State::Started).id;
    assert_eq!(world.sweep(Timeout::Lapsed), [lost]);
    let reply = world.send(&Ask::new(&cancels::OPERATION).query("by=system:sweeper&cause=stale"));
    let found = &serde_json::from_str::<Value>(&reply.body).expect("JSON")["data"]["cancels"][0];
    assert_eq!((&found["stop"], &found["stop_ms"]), (&json!({"outcome": "lost", "confirmed_at": null}), &json!(null)));
}

#[test]
fn pages_go_on_where_the_last_one_ended_also_within_a_millisecond() {
    let world = World::new();
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push(cancelled(&world, State::Queued).id);
        world.pass(if n % 3 == 0 { 1 } else { 0 });
    }
    expected.reverse();
    let (mut seen, mut query) = (Vec::new(), "per_page=2".to_owned());
    loop {
        let next = page(&world, &query);
        seen.extend(ids(&next));
        let Some(before) = next.pagination.next_before else { break };
        query = format!("per_page=2&before={before}");
    }
    assert_eq!(seen, expected);
}

#[test]
fn filters_narrow_and_a_window_without_a_match_says_where_to_go_on() {
    let world = World::new();
    let first = cancelled(&world, State::Queued).id;
    let at = world.now.get();
    world.pass(1000);
    let production = world.register(&json!({"environment": "production"}));
    assert_eq!(world.ask(&cancel::OPERATION, production, &json!({})).status, 200);
    let last = world.now.get();
    for (query, expected) in [
        ("by=ada".to_owned(), vec![production, first]),
        ("by=bob".to_owned(), vec![]),
        ("cause=user".to_owned(), vec![production, first]),
        ("cause=superseded".to_owned(), vec![]),
        ("environment=production".to_owned(), vec![production]),
        ("environment=nowhere".to_owned(), vec![]),
        ("environment=elsewhere".to_owned(), vec![]),
        (format!("from={last}"), vec![production]),
        (format!("to={last}"), vec![first]),
        (format!("from={at}&to={}", at.plus(1)), vec![first]),
        (format!("from={}&to={last}", at.plus(1)), vec![]),
    ] {
        assert_eq!(ids(&page(&world, &query)), expected, "{query}");
    }
    world.pass(1000);
    for _ in 0..150 {
        cancelled(&world, State::Queued);
    }
    let none = page(&world, "environment=production");
    assert_eq!(ids(&none), [0; 0], "the newest hundred are others");
    let query = format!("environment=production&before={}", none.pagination.next_before.expect("more"));
    let found = page(&world, &query);
    assert_eq!((ids(&found), found.pagination.next_before), (vec![production], None));
}

#[test]
fn another_projects_cancels_stay_its_own() {
    let world = World::new();
    cancelled(&world, State::Queued);
    let other = world.add_key(&format!("estop_{}", "F".repeat(43)), 2, (1, 0, 0), None, None);
    let reply = world.send(&Ask::new(&cancels::OPERATION).with_key(&other));
    assert!(reply.status == 200 && reply.body.contains(r#""cancels":[]"#), "{reply:?}");
}
