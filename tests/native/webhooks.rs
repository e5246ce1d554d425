//! Webhooks: what is written for them, who takes it, what is sent, and what comes of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use estop::http::operation::Operation;
use estop::operations::admin::webhooks as room;
use estop::operations::{admin, cancel, claim};
use estop::run::Event;
use estop::runtime::{DbError, LocalFuture};
use estop::webhooks::plan::{Heard, RETRIES};
use estop::webhooks::signature::{self, Secret};
use estop::webhooks::{self, LEASE, Post, Sender, Tally, Which, address};
use estop_protocol::run::{Finish, State};
use estop_protocol::time::Timestamp;
use estop_protocol::webhooks::{Deliveries, NewWebhook, OneDelivery, OneWebhook, Webhooks};
use pollster::block_on;
use serde_json::{Value, json};

use crate::contract::DOCUMENT;
use crate::world::{ADMIN, Ask, Fault, MINUTE, World, data};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const URL: &str = "https://example.com/hooks";

/// A receiver that these tests make up.
#[derive(Default)]
struct Receiver<'a> {
    /// What it answers, in turn; 204 once that is over.
    answers: RefCell<VecDeque<Heard>>,
    heard: RefCell<Vec<Post>>,
    /// What happens while it thinks.
    meanwhile: Option<&'a dyn Fn()>,
}

impl Sender for Receiver<'_> {
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>> {
        self.heard.borrow_mut().extend(posts.iter().cloned());
        if let Some(meanwhile) = self.meanwhile {
            meanwhile();
        }
        let mut answers = self.answers.borrow_mut();
        let heard = posts.iter().map(|_| answers.pop_front().unwrap_or_else(|| status(204))).collect();
        Box::pin(async move { heard })
    }
}

fn status(status: u16) -> Heard {
    Heard { status: Some(status), body: Some(format!("status {status}")), ..Heard::default() }
}

fn timeout() -> Heard {
    Heard { timed_out: true, ..Heard::default() }
}

impl Receiver<'_> {
    fn that_answers(answers: impl IntoIterator<Item = Heard>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), ..Self::default() }
    }

    /// The types of what it heard, and of which run.
    fn types(&self) -> Vec<(String, i64)> {
        let message = |post: &Post| serde_json::from_str::<Value>(&post.body).expect("JSON");
        let types = self.heard.borrow().iter().map(message).collect::<Vec<_>>();
        let of = |message: &Value| message["data"]["id"].as_i64().unwrap_or(0);
        types.iter().map(|m| (m["type"].as_str().expect("a type").to_owned(), of(m))).collect()
    }
}

fn header<'a>(post: &'a Post, name: &str) -> &'a str {
    post.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str()).expect("a header")
}

/// Sends what is to be sent, now.
fn deliver(world: &World, receiver: &Receiver<'_>, which: Which) -> Tally {
    let sent = block_on(webhooks::deliver(&world.database(), receiver, which, world.now.get()));
    sent.expect("it is sent")
}

fn ask(world: &World, operation: &Operation, id: i64, body: &Value) -> estop::http::reply::Reply {
    world.send(&Ask::new(operation).about(id).with_key(ADMIN).body(body))
}

/// A webhook of project 1: its id and secret.
fn webhook(world: &World, extra: &Value) -> (i64, String) {
    let mut body = json!({"url": URL});
    body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let reply = ask(world, &room::CREATE, 1, &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let made = data(&reply);
    is_a::<NewWebhook>(&made);
    (made["webhook"]["id"].as_i64().expect("an id"), made["secret"].as_str().expect("a secret").to_owned())
}

/// The database writes what is answered: it has to be what the protocol's types say.
fn is_a<T: serde::de::DeserializeOwned>(answer: &Value) {
    serde_json::from_value::<T>(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer}"));
}

fn shown(world: &World, id: i64) -> Value {
    let mut shown = data(&ask(world, &room::SHOW, id, &json!({})));
    is_a::<OneWebhook>(&shown);
    shown["webhook"].take()
}

/// Its deliveries, oldest first.
fn deliveries(world: &World, id: i64) -> Vec<Value> {
    let listed = data(&ask(world, &room::DELIVERIES, id, &json!({})));
    is_a::<Deliveries>(&listed);
    let mut all = listed["deliveries"].as_array().expect("some").clone();
    all.reverse();
    all
}

fn states(world: &World, id: i64) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    deliveries(world, id).iter().map(|one| (text(&one["event"]), text(&one["state"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

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

#[test]
fn an_event_waits_until_the_one_before_it_is_delivered_or_given_up() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Cancel));
    let other = world.run_in(State::Started);
    assert_eq!(
        states(&world, id),
        pairs(&[("run.started", "due"), ("run.cancelled", "waiting"), ("run.started", "due")])
    );
    let failing = Receiver::that_answers([status(500)]);
    deliver(&world, &failing, Which::Fresh);
    assert_eq!(failing.types(), [("run.started".to_owned(), run.id), ("run.started".to_owned(), other.id)]);
    let well = Receiver::default();
    world.pass(30_000);
    deliver(&world, &well, Which::Due);
    assert_eq!(well.types(), [], "the retry is not due, and what comes after it waits for it");
    world.pass(60_000);
    deliver(&world, &well, Which::Due);
    assert_eq!(well.types(), [("run.started".to_owned(), run.id), ("run.cancelled".to_owned(), run.id)]);
    // What is given up holds up nothing.
    let mut third = world.run_in(State::Started);
    assert!(world.apply(&mut third, Event::Cancel));
    let never = Receiver::that_answers(std::iter::repeat_n(timeout(), 10));
    for wait in [0].into_iter().chain(RETRIES) {
        world.pass(wait + wait / 10);
        deliver(&world, &never, Which::Due);
    }
    assert_eq!(never.types().iter().filter(|(what, _)| what == "run.started").count(), 10);
    assert_eq!(never.types().last(), Some(&("run.cancelled".to_owned(), third.id)));
    let given_up = &deliveries(&world, id)[3];
    assert_eq!((&given_up["state"], &given_up["failure"]), (&json!("failed"), &json!("timeout")));
    assert_eq!((&given_up["attempts"], &given_up["next_attempt_at"]), (&json!(10), &json!(null)));
    let ids: Vec<String> = never.heard.borrow().iter().take(10).map(|p| header(p, "webhook-id").to_owned()).collect();
    let bodies: Vec<String> = never.heard.borrow().iter().take(10).map(|p| p.body.clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]) && bodies.iter().all(|body| *body == bodies[0]));
}

#[test]
fn whoever_comes_while_it_is_sent_sends_nothing() {
    let world = World::new();
    webhook(&world, &json!({}));
    for _ in 0..3 {
        world.run_in(State::Started);
    }
    let twice = Receiver::default();
    let both = || {
        for which in [Which::Fresh, Which::Due] {
            assert_eq!(deliver(&world, &twice, which), Tally::default());
        }
        world.pass(LEASE - 1);
        assert_eq!(deliver(&world, &twice, Which::Due), Tally::default());
    };
    let receiver = Receiver { meanwhile: Some(&both), ..Receiver::default() };
    assert_eq!(deliver(&world, &receiver, Which::Fresh).delivered, 3);
    assert_eq!((receiver.types().len(), twice.types().len()), (3, 0));
}

#[test]
fn what_was_taken_by_a_worker_that_died_is_due_again_once_its_lease_is_over() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    world.run_in(State::Started);
    let died = Receiver::default();
    // Taken and sent; what came of it is never recorded.
    world.runtime.after.set(1);
    world.runtime.faults.borrow_mut().push_back(Fault::BeforeCommit(DbError::Overloaded));
    let sent = block_on(webhooks::deliver(&world.database(), &died, Which::Fresh, world.now.get()));
    assert_eq!(sent, Err((Tally { delivered: 1, failed: 0 }, DbError::Overloaded)));
    assert_eq!(states(&world, id), pairs(&[("run.started", "due")]));
    world.pass(LEASE);
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Due);
    let (first, second) = (died.heard.borrow()[0].clone(), receiver.heard.borrow()[0].clone());
    assert_eq!((header(&first, "webhook-id"), &first.body), (header(&second, "webhook-id"), &second.body));
    assert_eq!(states(&world, id), pairs(&[("run.started", "delivered")]));
}

#[test]
fn a_late_word_of_an_attempt_changes_nothing_once_another_has_begun() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    world.run_in(State::Started);
    let second = Receiver::that_answers([status(500)]);
    let later = || {
        world.pass(LEASE);
        deliver(&world, &second, Which::Due);
    };
    let first = Receiver { meanwhile: Some(&later), ..Receiver::that_answers([status(410)]) };
    deliver(&world, &first, Which::Fresh);
    let delivery = deliveries(&world, id).remove(0);
    assert_eq!(
        (&delivery["state"], &delivery["status"], &delivery["attempts"]),
        (&json!("due"), &json!(500), &json!(2))
    );
    assert_eq!(shown(&world, id)["disabled"], false);
}

#[test]
fn a_webhook_that_answers_410_is_switched_off_and_nothing_more_is_sent() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Cancel));
    world.run_in(State::Started);
    let gone = Receiver::that_answers([status(410), status(204)]);
    deliver(&world, &gone, Which::Fresh);
    let off = shown(&world, id);
    assert_eq!((&off["disabled"], &off["disabled_why"]), (&json!(true), &json!("gone")));
    assert_eq!(off["disabled_at"], json!(world.now.get().plus(1)));
    world.run_in(State::Started);
    for _ in 0..2 {
        deliver(&world, &gone, Which::Due);
    }
    let expected = [("run.started", "failed"), ("run.cancelled", "failed"), ("run.started", "delivered")];
    assert_eq!(states(&world, id), pairs(&expected), "what was still to come is given up, and nothing new written");
    assert_eq!(deliveries(&world, id)[1]["failure"], "switched_off");
    assert_eq!(gone.types().len(), 2);
    // Switched on again it hears of what happens from now on.
    assert_eq!(ask(&world, &room::CHANGE, id, &json!({"disabled": false})).status, 200);
    let on = shown(&world, id);
    assert_eq!(
        (&on["disabled"], &on["disabled_why"], &on["failing_since"]),
        (&json!(false), &json!(null), &json!(null))
    );
    world.run_in(State::Started);
    assert_eq!(deliver(&world, &gone, Which::Fresh).delivered, 1);
    let what: String = world
        .runtime
        .db
        .borrow()
        .query_row("SELECT group_concat(what || coalesce(' ' || detail, ''), ', ') FROM admin_events WHERE subject = 'webhook 1'", [], |r| r.get(0))
        .expect("events");
    assert_eq!(what, "webhook_created standard, webhook_switched_off gone, webhook_switched_on");
}

#[test]
fn a_webhook_that_fails_for_five_days_is_switched_off_and_one_that_works_in_between_is_not() {
    let world = World::new();
    let id = webhook(&world, &json!({"events": ["run.started"]})).0;
    let attempt = |answer: Heard| {
        world.run_in(State::Started);
        // One that fails gets nothing at once: it would keep the others waiting.
        deliver(&world, &Receiver::that_answers([answer.clone(), answer.clone(), answer.clone(), answer]), Which::Due);
        shown(&world, id)
    };
    let begun = world.now.get();
    assert_eq!(attempt(status(500))["failing_since"], json!(begun.plus(1)));
    world.pass(4 * DAY);
    assert_eq!(attempt(Heard::default())["failing_since"], json!(begun.plus(1)));
    world.pass(2 * HOUR);
    assert_eq!(attempt(status(200))["failing_since"], json!(null), "it works");
    world.pass(20 * HOUR);
    let again = world.now.get();
    assert_eq!(attempt(status(302))["failing_since"], json!(again.plus(1)));
    world.pass(5 * DAY - 1);
    assert_eq!(attempt(timeout())["disabled"], false);
    world.pass(1);
    let off = attempt(timeout());
    assert_eq!((&off["disabled_why"], &off["failing_since"]), (&json!("failing"), &json!(again.plus(1))));
}

#[test]
fn one_that_does_not_answer_keeps_none_of_the_others_waiting() {
    let world = World::new();
    webhook(&world, &json!({"events": ["run.started"], "branch": "bad"}));
    for _ in 0..20 {
        let id = world.register(&json!({"environment": "staging", "branch": "bad"}));
        assert_eq!(world.ask(&claim::OPERATION, id, &json!({})).status, 200);
    }
    let well =
        webhook(&world, &json!({"events": ["run.started"], "branch": "good", "url": "https://good.example.com/"})).0;
    let good = world.register(&json!({"environment": "staging", "branch": "good"}));
    assert_eq!(world.ask(&claim::OPERATION, good, &json!({})).status, 200);
    let heard = Cell::new(0);
    let receiver = Receiver::that_answers(std::iter::repeat_n(timeout(), 100));
    let most = webhooks::AT_ONCE * 4;
    deliver(&world, &receiver, Which::Due);
    let first: Vec<String> = receiver.heard.borrow().iter().take(3).map(|post| post.url.clone()).collect();
    assert!(first.contains(&"https://good.example.com/".to_owned()), "in the first round: {first:?}");
    heard.set(receiver.heard.borrow().len());
    assert!(i64::try_from(heard.get()).is_ok_and(|sent| sent <= most), "{} in a tick", heard.get());
    assert_eq!(deliveries(&world, well).len(), 1);
    // And what is new for one that fails waits for the tick.
    let late = world.register(&json!({"environment": "staging", "branch": "bad"}));
    assert_eq!(world.ask(&claim::OPERATION, late, &json!({})).status, 200);
    let fresh = "SELECT fresh FROM deliveries ORDER BY id DESC LIMIT 1";
    let fresh: i64 = world.runtime.db.borrow().query_row(fresh, [], |row| row.get(0)).expect("a row");
    assert_eq!(fresh, 0);
}

#[test]
fn while_the_secret_is_being_changed_both_are_good() {
    let world = World::new();
    let (id, first) = webhook(&world, &json!({}));
    let rotate = |key: &str| world.send(&Ask::new(&room::ROTATE).about(id).with_key(ADMIN).idempotent(key));
    let rotated = rotate("once");
    assert_eq!(rotate("once"), rotated, "a repeat changes nothing");
    let second = data(&rotated)["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(first, second);
    let secrets = [2, 1].map(|generation| Secret::derived("webhook-secret", id, generation));
    assert_eq!(secrets.each_ref().map(Secret::reveal), [second.clone(), first]);
    let signed = || {
        let receiver = Receiver::default();
        world.run_in(State::Started);
        deliver(&world, &receiver, Which::Fresh);
        let post = receiver.heard.borrow()[0].clone();
        let headers = |secrets: &[Secret]| {
            let at = Timestamp(1000 * header(&post, "webhook-timestamp").parse::<i64>().expect("seconds"));
            signature::headers(secrets, header(&post, "webhook-id"), at, &post.body)[2].1.clone()
        };
        let given = header(&post, "webhook-signature").to_owned();
        (given.clone(), given == headers(&secrets), given == headers(&secrets[..1]))
    };
    let (given, both, _) = signed();
    assert!(both && given.split(' ').count() == 2, "{given}");
    world.pass(DAY);
    let (given, _, one) = signed();
    assert!(one && given.split(' ').count() == 1, "{given}");
    let stored: String = world
        .runtime
        .db
        .borrow()
        .query_row("SELECT group_concat(json_array(w.url, w.request_id, w.request_hash, w.origin, d.data)) FROM webhooks w, deliveries d", [], |r| r.get(0))
        .expect("rows");
    assert!(!stored.contains(&second["whsec_".len()..]), "the database knows no secret");
}

#[test]
fn the_last_hundred_are_kept_and_whatever_is_still_to_come() {
    let world = World::new();
    let id = webhook(&world, &json!({"events": ["run.started"]})).0;
    let first = world.run_in(State::Started);
    let never = Receiver::that_answers([status(500)]);
    deliver(&world, &never, Which::Fresh);
    world.sql("UPDATE webhooks SET failing_since = NULL");
    let receiver = Receiver::default();
    for _ in 0..130 {
        world.run_in(State::Started);
        deliver(&world, &receiver, Which::Fresh);
    }
    let count: i64 =
        world.runtime.db.borrow().query_row("SELECT count(*) FROM deliveries", [], |r| r.get(0)).expect("a count");
    assert_eq!(count, 101);
    assert_eq!(deliveries(&world, id).len(), 100);
    let oldest = "SELECT run_id FROM deliveries ORDER BY id LIMIT 1";
    let oldest: i64 = world.runtime.db.borrow().query_row(oldest, [], |row| row.get(0)).expect("a row");
    assert_eq!(oldest, first.id, "it is still to come");
}

#[test]
fn a_test_and_a_redelivery_go_out_at_once_and_are_written_once() {
    let world = World::new();
    let (id, _) = webhook(&world, &json!({"events": ["run.ended"]}));
    let send = |operation: &Operation, about: i64, key: &str| {
        world.send(&Ask::new(operation).about(about).with_key(ADMIN).idempotent(key))
    };
    let tested = send(&room::TEST, id, "test");
    assert_eq!((tested.status, send(&room::TEST, id, "test")), (200, tested.clone()));
    assert!(world.runtime.delivers.take());
    let first = data(&tested)["delivery"]["id"].as_i64().expect("an id");
    let early = send(&room::REDELIVER, first, "early");
    assert!(early.status == 409 && early.body.contains("still to come"), "{early:?}");
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Fresh);
    let again = send(&room::REDELIVER, first, "again");
    assert_eq!((again.status, send(&room::REDELIVER, first, "again")), (200, again.clone()));
    assert!(world.runtime.delivers.take());
    deliver(&world, &receiver, Which::Fresh);
    assert_eq!(receiver.types(), [("test".to_owned(), 0), ("test".to_owned(), 0)]);
    let heard = receiver.heard.borrow();
    assert_eq!(header(&heard[0], "webhook-id"), header(&heard[1], "webhook-id"));
    assert_eq!(heard[0].body, heard[1].body);
    let message: Value = serde_json::from_str(&heard[0].body).expect("JSON");
    assert_eq!(message["data"], json!({"project": {"id": 1, "slug": "one", "name": "One"}, "webhook": {"id": id}}));
    is_a::<OneDelivery>(&data(&again));
    assert_eq!(data(&again)["delivery"]["redelivers"], first);
    ask(&world, &room::CHANGE, id, &json!({"disabled": true}));
    for (operation, about) in [(&room::TEST, id), (&room::REDELIVER, first)] {
        let off = ask(&world, operation, about, &json!({}));
        assert!(off.status == 409 && off.body.contains("switched off"), "{off:?}");
        assert_eq!(ask(&world, operation, 99, &json!({})).status, 404);
    }
}

#[test]
fn a_redelivery_lets_no_later_event_overtake_the_one_that_it_repeats() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    let mut run = world.run_in(State::Started);
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Fresh);
    assert!(world.apply(&mut run, Event::Cancel));
    deliver(&world, &Receiver::that_answers([status(500)]), Which::Fresh);
    let body = World::finish_body(&run.token, Finish::Ended);
    assert_eq!(world.ask(&estop::operations::finish::OPERATION, run.id, &body).status, 412);
    let first = deliveries(&world, id)[0]["id"].as_i64().expect("an id");
    assert_eq!(ask(&world, &room::REDELIVER, first, &json!({})).status, 200);
    deliver(&world, &receiver, Which::Fresh);
    assert_eq!(deliveries(&world, id)[2]["state"], "waiting");
}

#[test]
fn slack_gets_a_sentence_that_is_signed_as_well() {
    let world = World::new();
    webhook(
        &world,
        &json!({"format": "slack", "events": ["run.cancelled"], "url": "https://hooks.slack.com/services/T/B/x"}),
    );
    let run = world.run_in(State::Queued);
    world.ask(&cancel::OPERATION, run.id, &json!({"reason": "wrong <branch>"}));
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Fresh);
    let post = receiver.heard.borrow()[0].clone();
    let expected =
        format!("ada stopped <https://estop.example/runs/{0}|test run {0}> on Staging: wrong &lt;branch&gt;.", run.id);
    assert_eq!(serde_json::from_str::<Value>(&post.body).expect("JSON"), json!({"text": expected}));
    assert!(header(&post, "webhook-signature").starts_with("v1,"));
}

#[test]
fn what_a_webhook_is_can_be_changed_and_what_is_not_given_stays() {
    let world = World::new();
    let id = webhook(&world, &json!({"environment": "staging", "branch": "main", "events": ["run.ended"]})).0;
    let before = shown(&world, id);
    let change = |body: Value| {
        let reply = ask(&world, &room::CHANGE, id, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        data(&reply)["webhook"].clone()
    };
    assert_eq!(change(json!({})), before);
    assert_eq!(change(json!({"url": null, "events": null, "format": null, "disabled": null})), before);
    let changed = change(json!({"environment": "production", "branch": null}));
    assert_eq!((&changed["environment"], &changed["branch"]), (&json!("production"), &json!(null)));
    let changed =
        change(json!({"environment": null, "url": "https://EXAMPLE.com", "events": ["run.error", "run.started"]}));
    assert_eq!((&changed["environment"], &changed["url"]), (&json!(null), &json!("https://example.com/")));
    assert_eq!(changed["events"], json!(["run.started", "run.error"]));
    let unknown = ask(&world, &room::CHANGE, id, &json!({"environment": "elsewhere", "branch": "x"}));
    assert!(unknown.status == 400 && unknown.body.contains("`environment`"), "{unknown:?}");
    assert_eq!(shown(&world, id)["branch"], json!(null), "nothing of it");
    for bad in [
        json!({"url": "ftp://example.com"}),
        json!({"events": []}),
        json!({"events": ["run.queued"]}),
        json!({"branch": ""}),
        json!({"branch": "x".repeat(51)}),
        json!({"branch": "é".repeat(26)}),
        json!({"branch": "*a*b*c*"}),
        json!({"branch": "a\nb"}),
        json!({"format": "teams"}),
        json!({"secret": "x"}),
    ] {
        assert_eq!(ask(&world, &room::CHANGE, id, &bad).status, 400, "{bad}");
    }
    for (operation, status) in
        [(&room::SHOW, 404), (&room::CHANGE, 404), (&room::DELETE, 404), (&room::ROTATE, 404), (&room::DELIVERIES, 404)]
    {
        assert_eq!(ask(&world, operation, 99, &json!({})).status, status, "{}", operation.name());
    }
    assert_eq!(ask(&world, &room::LIST, 99, &json!({})).status, 404);
    assert_eq!(ask(&world, &room::CREATE, 99, &json!({"url": URL})).status, 404);
    assert_eq!(ask(&world, &room::CREATE, 1, &json!({"url": URL, "environment": "elsewhere"})).status, 400);
}

#[test]
fn a_project_has_ten_webhooks_at_most_and_a_deleted_one_makes_room() {
    let world = World::new();
    let ids: Vec<i64> = (0..10).map(|_| webhook(&world, &json!({})).0).collect();
    let full = ask(&world, &room::CREATE, 1, &json!({"url": URL}));
    assert!(full.status == 409 && full.body.contains("10 webhooks"), "{full:?}");
    world.run_in(State::Started);
    for _ in 0..2 {
        assert_eq!(ask(&world, &room::DELETE, ids[9], &json!({})).status, 204);
    }
    let left: i64 = world
        .runtime
        .db
        .borrow()
        .query_row("SELECT count(*) FROM deliveries WHERE webhook_id = 10", [], |r| r.get(0))
        .expect("a count");
    let url: String =
        world.runtime.db.borrow().query_row("SELECT url FROM webhooks WHERE id = 10", [], |r| r.get(0)).expect("a url");
    assert_eq!((left, url.as_str()), (0, ""), "what it was is forgotten");
    assert_eq!(ask(&world, &room::SHOW, ids[9], &json!({})).status, 404);
    let next = webhook(&world, &json!({})).0;
    assert_eq!(next, 11, "an id is never used again: the secret is made of it");
    let listed = data(&ask(&world, &room::LIST, 1, &json!({})));
    is_a::<Webhooks>(&listed);
    assert_eq!(listed["webhooks"].as_array().map(Vec::len), Some(10));
    let other = ask(&world, &admin::projects::CREATE, 0, &json!({"name": "N", "slug": "n"}));
    let project = data(&other)["project"]["id"].as_i64().expect("an id");
    assert_eq!(ask(&world, &room::CREATE, project, &json!({"url": URL})).status, 200, "another project has its own");
}

#[test]
fn without_the_secret_the_routes_do_not_exist_and_nothing_is_sent() {
    let mut world = World::new();
    webhook(&world, &json!({}));
    world.run_in(State::Started);
    world.config.webhook_secret = None;
    let batches = world.runtime.batches.get();
    for operation in [
        &room::CREATE,
        &room::LIST,
        &room::SHOW,
        &room::CHANGE,
        &room::DELETE,
        &room::ROTATE,
        &room::DELIVERIES,
        &room::TEST,
        &room::REDELIVER,
    ] {
        let reply = ask(&world, operation, 1, &json!({}));
        assert_eq!((reply.status, reply.outcome), (404, "no_such_route"), "{}", operation.name());
    }
    assert_eq!(deliver(&world, &Receiver::default(), Which::Fresh), Tally::default());
    assert_eq!(world.runtime.batches.get(), batches);
}

#[test]
fn only_addresses_on_the_internet_are_taken_and_on_a_laptop_its_own() {
    let world = World::new();
    let check = |url: &str, local: bool| address::check(&world.runtime, url, local);
    for good in [
        "https://example.com",
        "HTTPS://Example.com:8443/a?b=c",
        "https://8.8.8.8/",
        "https://172.15.0.1/",
        "https://172.32.0.1/",
        "https://100.63.255.255/",
        "https://100.128.0.1/",
        "https://192.169.0.1/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::808:808]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[2002:808:808::1]/",
        "https://localhost.example.com/",
        "https://bücher.example/",
    ] {
        assert!(check(good, false).is_ok(), "{good}");
    }
    for bad in [
        "",
        "example.com",
        "//example.com",
        "http://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://",
        "https://user@example.com/",
        "https://:secret@example.com/",
        "https://example.com/#top",
        "https://example.com/#",
        " https://example.com/",
        "https://exa\tmple.com/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://vault.internal/",
        "https://vault.internal./",
        "https://nas.home.arpa/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0x7f.1/",
        "https://127.0.0.1./",
        "https://１２７.0.0.1/",
        "https://0.0.0.0/",
        "https://0/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.169.254/",
        "https://100.64.0.1/",
        "https://100.127.255.255/",
        "https://192.0.0.8/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[::7f00:1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::1]/",
        "https://[2002:7f00:1::1]/",
        "https://[fc00::1]/",
        "https://[fd12:3456::1]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
        "https://[100::1]/",
    ] {
        assert!(check(bad, false).is_err(), "{bad}");
    }
    for laptop in [
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://[::1]:9000/",
        "https://localhost/",
        "http://127.1/",
    ] {
        assert!(check(laptop, true).is_ok() && check(laptop, false).is_err(), "{laptop}");
    }
    for never in ["http://10.0.0.1/", "https://printer.local/", "ftp://localhost/", "http://169.254.169.254/"] {
        assert!(check(never, true).is_err(), "{never}");
    }
    let long = |length: usize| format!("https://example.com/{}", "x".repeat(length - 20));
    assert!(check(&long(2000), false).is_ok() && check(&long(2001), false).is_err());
    let encoded = format!("https://example.com/{}", "é".repeat(1000));
    assert!(check(&encoded, false).is_err(), "it is longer than it looks");
}
