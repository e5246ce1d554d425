//! What a webhook hears of.

use estop::operations::admin::webhooks as room;
use estop::operations::{cancel, claim};
use estop::run::Event;
use estop::runtime::DbError;
use estop::webhooks::Which;
use estop::webhooks::signature::{self, Secret};
use estop_protocol::run::{Finish, State};
use estop_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::{Receiver, URL, ask, deliver, deliveries, header, pairs, shown, states, webhook};
use crate::contract::DOCUMENT;
use crate::world::{Fault, World};

#[test]
fn a_webhook_hears_of_all_that_its_runs_go_through_each_once_as_it_was_then() {
    let world = World::new();
    let (id, secret) = webhook(&world, &json!({}));
    let receiver = Receiver::default();
    let mut stopped = world.run_in(State::Started);
    assert!(world.apply(&mut stopped, Event::Cancel));
    world.pass(1_000);
    let body = World::finish_body(&stopped.token, Finish::Ended);
    assert_eq!(world.ask(&estop::operations::finish::OPERATION, stopped.id, &body).status, 412);
    let never = world.run_in(State::Queued);
    assert_eq!(world.ask(&cancel::OPERATION, never.id, &json!({})).status, 200);
    let (passed, broke) = (world.run_in(State::Ended), world.run_in(State::Error));
    assert!(world.runtime.delivers.take(), "the last answer says that there is something to be sent");
    while deliver(&world, &receiver, Which::Fresh).delivered > 0 {}
    let mut types = receiver.types();
    types.sort_by_key(|(_, run)| *run);
    let expected = [
        ("run.started", stopped.id),
        ("run.cancelled", stopped.id),
        ("run.stopped", stopped.id),
        ("run.cancelled", never.id),
        ("run.started", passed.id),
        ("run.ended", passed.id),
        ("run.started", broke.id),
        ("run.error", broke.id),
    ];
    assert_eq!(types, expected.map(|(what, run)| (what.to_owned(), run)));
    let schema = json!({"$ref": "#/components/schemas/WebhookMessage", "components": DOCUMENT["components"]});
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let mut ids = Vec::new();
    for post in receiver.heard.borrow().iter() {
        let message: Value = serde_json::from_str(&post.body).expect("JSON");
        assert!(validator.validate(&message).is_ok(), "{message}");
        let (state, run) = (message["data"]["state"].as_str().expect("a state"), &message["data"]);
        match message["type"].as_str().expect("a type") {
            // The runs have gone on since.
            "run.started" => assert_eq!((state, &message["timestamp"]), ("started", &run["started_at"])),
            "run.cancelled" => assert_eq!((state, &run["stop"]["confirmed_at"]), ("cancelled", &json!(null))),
            "run.stopped" => assert_eq!(message["timestamp"], run["stop"]["confirmed_at"]),
            "run.ended" => assert_eq!((state, &message["timestamp"]), ("ended", &run["ended_at"])),
            _ => assert_eq!(run["error_code"], "run_failed_with_error"),
        }
        assert_eq!((post.url.as_str(), header(post, "content-type")), (URL, "application/json"));
        ids.push(header(post, "webhook-id").to_owned());
        let at = Timestamp(1000 * header(post, "webhook-timestamp").parse::<i64>().expect("seconds"));
        let derived = Secret::derived("webhook-secret", id, 1);
        assert_eq!(derived.reveal(), secret);
        let [.., (_, signed)] = signature::headers(&[derived], header(post, "webhook-id"), at, &post.body);
        assert_eq!(header(post, "webhook-signature"), signed);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "each event has an id of its own");
    assert!(deliveries(&world, id).iter().all(|one| one["state"] == "delivered" && one["status"] == 204));
    assert!(!deliver(&world, &receiver, Which::Due).delivered > 0);
}

#[test]
fn a_webhook_hears_only_what_its_filters_let_through() {
    let world = World::new();
    let run = |environment: &str, branch: Option<&str>| {
        let id = world.register(&json!({"environment": environment, "branch": branch}));
        assert_eq!(world.ask(&claim::OPERATION, id, &json!({})).status, 200);
        assert_eq!(world.ask(&cancel::OPERATION, id, &json!({})).status, 200);
    };
    let all = webhook(&world, &json!({})).0;
    let cancelled = webhook(&world, &json!({"events": ["run.cancelled", "run.cancelled"]})).0;
    let production = webhook(&world, &json!({"environment": "production"})).0;
    let release = webhook(&world, &json!({"branch": "release/*"})).0;
    let main = webhook(&world, &json!({"branch": "ma[hi]n", "environment": "staging", "events": ["run.started"]})).0;
    let off = webhook(&world, &json!({})).0;
    assert_eq!(ask(&world, &room::CHANGE, off, &json!({"disabled": true})).status, 200);
    let deleted = webhook(&world, &json!({})).0;
    assert_eq!(ask(&world, &room::DELETE, deleted, &json!({})).status, 204);
    run("staging", Some("main"));
    run("production", Some("release/1"));
    run("staging", Some("Release/1"));
    run("staging", None);
    let count = |id: i64| deliveries(&world, id).len();
    assert_eq!([all, cancelled, production, release, main, off].map(count), [8, 4, 2, 2, 1, 0]);
    assert_eq!(shown(&world, cancelled)["events"], json!(["run.cancelled"]));
    world.sql("UPDATE projects SET concurrency_scope = 'project' WHERE id = 1");
    let older = world.register(&json!({"environment": "staging"}));
    world.register(&json!({"environment": "staging"}));
    let superseded = deliveries(&world, cancelled).pop().expect("one more");
    assert_eq!((&superseded["test_run"], &superseded["event"]), (&json!(older), &json!("run.cancelled")));
    let foreign: i64 = world
        .runtime
        .db
        .borrow()
        .query_row(
            "SELECT count(*) FROM deliveries WHERE webhook_id NOT IN (SELECT id FROM webhooks WHERE project_id = 1)",
            [],
            |r| r.get(0),
        )
        .expect("a count");
    assert_eq!(foreign, 0);
}

#[test]
fn what_is_not_changed_is_not_told_and_what_is_changed_is() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    let run = world.run_in(State::Queued);
    world.sql("CREATE TRIGGER broken AFTER UPDATE OF state ON runs BEGIN SELECT RAISE(ABORT, 'a rule of a test'); END");
    assert_eq!(world.ask(&cancel::OPERATION, run.id, &json!({})).status, 500);
    assert_eq!(states(&world, id), []);
    world.sql("DROP TRIGGER broken");
    // Committed, though the answer is lost for good.
    let lost = || Fault::AfterCommit(DbError::Overloaded);
    world.runtime.faults.borrow_mut().push_back(lost());
    assert_eq!(world.ask(&cancel::OPERATION, run.id, &json!({})).status, 503);
    assert_eq!(states(&world, id), pairs(&[("run.cancelled", "due")]));
    assert_eq!(world.ask(&cancel::OPERATION, run.id, &json!({})).status, 412);
    assert_eq!(states(&world, id).len(), 1, "once");
}
