//! A pull request that is closed or merged stops the runs of its branch, where that is wanted.

use estop::http::reply::Reply;
use estop::http::request::GitHub;
use estop::operations::{admin, cancel, github, register};
use estop_protocol::run::State;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, World, data, merged, signature};

/// A project, number 1, that wants it for `acme/shop`.
fn world() -> World {
    let world = World::new();
    let wanted = json!({"repo_name": "Acme/Shop", "stop_on_close": true});
    let reply = world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(&wanted));
    assert_eq!(data(&reply)["project"]["stop_on_close"], true);
    world
}

fn run_on(world: &World, branch: &str) -> i64 {
    let body = json!({"environment": "staging", "build": {"branch": branch}});
    let reply = world.send(&Ask::new(&register::OPERATION).body(&body));
    data(&reply)["test_run"]["id"].as_i64().expect("an id")
}

fn deliver(world: &World, id: &str, event: &str, body: &Value) -> Reply {
    let signature = signature(&body.to_string());
    let github = GitHub { event: Some(event), delivery: Some(id), signature: Some(&signature) };
    world.send(&Ask { github, token: "", ..Ask::new(&github::OPERATION) }.body(body))
}

fn stopped(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    data(reply)["stopped"].clone()
}

#[test]
fn a_merged_pull_request_stops_the_runs_of_its_branch_and_says_who_and_why() {
    let world = world();
    let (run, other) = (run_on(&world, "feat/pay"), run_on(&world, "main"));
    let started = world.run_in(State::Started);
    let over = run_on(&world, "feat/pay");
    assert_eq!(world.ask(&cancel::OPERATION, over, &json!({})).status, 200);
    let told = world.runtime.told.borrow().len();
    let reply = deliver(&world, "d-1", "pull_request", &merged("feat/pay", "acme/shop", "acme/shop"));
    assert_eq!((stopped(&reply), reply.outcome), (json!([run]), "cancelled"));
    let row = world.row(run);
    assert_eq!(
        (row.state.as_str(), row.cancel_by.as_deref(), row.cancel_reason.as_deref(), row.cancel_cause.as_deref()),
        ("cancelled", Some("github:ada"), Some("pull request #12 was merged"), Some("user"))
    );
    assert_eq!((world.row(other).state, world.row(started.id).state), ("queued".to_owned(), "started".to_owned()));
    assert_eq!(world.row(over).cancel_by.as_deref(), Some("ada"));
    assert_eq!(world.runtime.told.borrow().len(), told + 1, "its runner and its watchers hear of it");
}

#[test]
fn a_delivery_that_comes_again_stops_nothing_that_came_after_it() {
    let world = world();
    let run = run_on(&world, "feat/pay");
    let event = merged("feat/pay", "acme/shop", "acme/shop");
    assert_eq!(stopped(&deliver(&world, "d-1", "pull_request", &event)), json!([run]));
    // Reopened, and run once more.
    let next = run_on(&world, "feat/pay");
    let again = deliver(&world, "d-1", "pull_request", &event);
    assert_eq!(stopped(&again), json!([run]), "what it did");
    assert_eq!(world.row(next).state, "queued");
    assert_eq!(stopped(&deliver(&world, "d-2", "pull_request", &event)), json!([next]));
    // One that found nothing has been heard, too.
    let early = merged("feat/later", "acme/shop", "acme/shop");
    assert_eq!(stopped(&deliver(&world, "d-3", "pull_request", &early)), json!([]));
    let later = run_on(&world, "feat/later");
    assert_eq!(stopped(&deliver(&world, "d-3", "pull_request", &early)), json!([]));
    assert_eq!(world.row(later).state, "queued");
}

#[test]
fn a_fork_another_repository_and_another_event_stop_nothing() {
    let world = world();
    let run = run_on(&world, "main");
    let own = merged("main", "acme/shop", "acme/shop");
    let mut opened = own.clone();
    opened["action"] = "opened".into();
    let mut gone = own.clone();
    gone["pull_request"]["head"]["repo"] = Value::Null;
    for (event, body) in [
        ("pull_request", merged("main", "mallory/shop", "acme/shop")),
        ("pull_request", merged("main", "mallory/shop", "mallory/shop")),
        ("pull_request", opened),
        ("pull_request", gone),
        ("push", own),
        ("ping", json!({"zen": "Keep it logically awesome."})),
    ] {
        let reply = deliver(&world, "d-1", event, &body);
        assert_eq!((stopped(&reply), reply.outcome), (json!([]), "ignored"), "{body}");
    }
    assert_eq!(world.row(run).state, "queued");
}

#[test]
fn a_project_that_does_not_want_it_keeps_its_runs() {
    let world = world();
    let run = run_on(&world, "feat/pay");
    let off = json!({"stop_on_close": false});
    world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(&off));
    let event = merged("feat/pay", "acme/shop", "acme/shop");
    assert_eq!(stopped(&deliver(&world, "d-1", "pull_request", &event)), json!([]));
    assert_eq!(world.row(run).state, "queued");
}

#[test]
fn nobody_but_github_is_heard() {
    let world = world();
    let run = run_on(&world, "feat/pay");
    let body = merged("feat/pay", "acme/shop", "acme/shop");
    let (good, other) = (signature(&body.to_string()), signature("{}"));
    let batches = world.runtime.batches.get();
    for signature in [None, Some("sha256="), Some(other.as_str()), Some(&good[7..]), Some(&good[..good.len() - 1])] {
        let github = GitHub { event: Some("pull_request"), delivery: Some("d-1"), signature };
        let reply = world.send(&Ask { github, ..Ask::new(&github::OPERATION) }.body(&body));
        assert_eq!((reply.status, reply.outcome), (401, "wrong_signature"), "{signature:?}");
    }
    assert_eq!(world.runtime.batches.get(), batches, "the database is not asked");
    assert_eq!(world.row(run).state, "queued");
    let github = GitHub { event: Some("pull_request"), delivery: None, signature: Some(&good) };
    let reply = world.send(&Ask { github, ..Ask::new(&github::OPERATION) }.body(&body));
    assert_eq!((reply.status, reply.outcome), (400, "invalid"));
    assert_eq!(deliver(&world, "d-1", "pull_request", &json!({"action": "closed"})).status, 400);
    let mut closed_house = World::new();
    closed_house.config.github_webhook_secret = None;
    assert_eq!(deliver(&closed_house, "d-1", "pull_request", &body).outcome, "no_such_route");
}

#[test]
fn a_branch_with_many_runs_loses_a_hundred_of_them_at_once() {
    let world = world();
    let runs: Vec<i64> = (0..105).map(|_| run_on(&world, "feat/pay")).collect();
    let event = merged("feat/pay", "acme/shop", "acme/shop");
    let first = stopped(&deliver(&world, "d-1", "pull_request", &event));
    assert_eq!(first.as_array().map(Vec::len), Some(100));
    let rest = runs.iter().filter(|id| world.row(**id).state == "queued").count();
    assert_eq!(rest, 5);
}
