//! Who takes a delivery, when, and what of it is recorded.

use std::cell::Cell;

use estop::operations::admin::webhooks as room;
use estop::operations::claim;
use estop::run::Event;
use estop::runtime::DbError;
use estop::webhooks::plan::RETRIES;
use estop::webhooks::{self, LEASE, Tally, Which};
use estop_protocol::run::State;
use pollster::block_on;
use serde_json::json;

use super::{Receiver, ask, deliver, deliveries, header, pairs, shown, states, status, timeout, webhook};
use crate::world::{Fault, World};

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
fn what_was_on_its_way_to_a_deleted_webhook_is_not_recorded_of_another_ones_delivery_with_its_id() {
    let world = World::new();
    let [deleted, other] = ["run.started", "run.ended"].map(|event| webhook(&world, &json!({"events": [event]})).0);
    world.run_in(State::Started);
    let deleted_meanwhile = || {
        assert_eq!(ask(&world, &room::DELETE, deleted, &json!({})).status, 204);
        world.run_in(State::Ended);
        // Somebody else has taken it.
        world.sql("UPDATE deliveries SET attempts = 1, fresh = 0");
    };
    let receiver = Receiver { meanwhile: Some(&deleted_meanwhile), ..Receiver::default() };
    deliver(&world, &receiver, Which::Fresh);
    assert_eq!(states(&world, other), pairs(&[("run.ended", "due")]));
}
