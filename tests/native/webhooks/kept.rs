//! Which deliveries are kept.

use estop::operations::admin::webhooks as room;
use estop::webhooks::{Tally, Which};
use estop_protocol::run::State;
use serde_json::json;

use super::{Receiver, ask, deliver, deliveries, status, webhook};
use crate::world::World;

/// How many rows of deliveries a webhook has.
fn count(world: &World, webhook: i64) -> i64 {
    let db = world.runtime.db.borrow();
    db.query_row("SELECT count(*) FROM deliveries WHERE webhook_id = ?1", [webhook], |row| row.get(0)).expect("a count")
}

/// Deliveries of a webhook, so many, all in this state.
fn has(world: &World, webhook: i64, many: i64, state: &str) {
    let due_at = if state == "due" { "1" } else { "NULL" };
    world.sql(&format!(
        "INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state, due_at) \
         SELECT {webhook}, value, 4, 'run.ended', 'm', '{{}}', 1, 1, '{state}', {due_at} \
           FROM (WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {many}) SELECT value FROM n)"
    ));
}

fn delete(world: &World, webhook: i64) {
    assert_eq!(ask(world, &room::DELETE, webhook, &json!({})).status, 204);
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
    assert_eq!(count(&world, id), 101);
    assert_eq!(deliveries(&world, id).len(), 100);
    let oldest = "SELECT run_id FROM deliveries ORDER BY id LIMIT 1";
    let oldest: i64 = world.runtime.db.borrow().query_row(oldest, [], |row| row.get(0)).expect("a row");
    assert_eq!(oldest, first.id, "it is still to come");
}

#[test]
fn a_deleted_webhook_leaves_nothing_and_a_tick_deletes_so_many_rows_at_most() {
    for state in ["delivered", "failed", "waiting", "due"] {
        let world = World::new();
        let [deleted, off, other] = [0; 3].map(|_| webhook(&world, &json!({})).0);
        has(&world, deleted, 2100, state);
        has(&world, off, 1600, "due");
        has(&world, other, 1, "delivered");
        world.sql(&format!("UPDATE webhooks SET disabled_at = 1, disabled_why = 'failing' WHERE id = {off}"));
        let receiver = Receiver::default();
        delete(&world, deleted);
        delete(&world, off);
        assert_eq!((count(&world, deleted), count(&world, off)), (1100, 600), "{state}");
        for expected in [(600, 600), (100, 600), (0, 600), (0, 100), (0, 0)] {
            assert_eq!(deliver(&world, &receiver, Which::Due), Tally::default());
            assert_eq!((count(&world, deleted), count(&world, off)), expected, "{state}");
        }
        assert_eq!((count(&world, other), receiver.heard.borrow().len()), (1, 0), "{state}");
    }
}

#[test]
fn what_is_on_its_way_when_its_webhook_is_deleted_is_forgotten_all_the_same() {
    let world = World::new();
    let id = webhook(&world, &json!({"events": ["run.started"]})).0;
    has(&world, id, 1100, "failed");
    world.run_in(State::Started);
    let delete = || delete(&world, id);
    let receiver = Receiver { meanwhile: Some(&delete), ..Receiver::default() };
    assert_eq!(deliver(&world, &receiver, Which::Fresh).delivered, 1);
    deliver(&world, &Receiver::default(), Which::Due);
    assert_eq!(count(&world, id), 0);
}
