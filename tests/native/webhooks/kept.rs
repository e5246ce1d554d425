//! Which deliveries are kept.

use estop::webhooks::Which;
use estop_protocol::run::State;
use serde_json::json;

use super::{Receiver, deliver, deliveries, status, webhook};
use crate::world::World;

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
