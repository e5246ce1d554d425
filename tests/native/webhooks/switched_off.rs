//! When a webhook is switched off.

use estop::operations::admin::webhooks as room;
use estop::run::Event;
use estop::webhooks::Which;
use estop::webhooks::plan::Heard;
use estop_protocol::run::State;
use serde_json::json;

use super::{DAY, HOUR, Receiver, ask, deliver, deliveries, pairs, shown, states, status, timeout, webhook};
use crate::world::World;

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
