//! What is forgotten together with runs, or after its time.

use estop::operations::bulk_cancel;
use estop::sweeper::REPEAT_FOR;
use estop_protocol::run::State;
use serde_json::json;

use super::{count, left, old_runs, turn, world};
use crate::world::{Ask, data};

#[test]
fn what_webhooks_heard_of_archived_runs_goes_with_them() {
    let world = world();
    world.sql(
        "INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash) \
         VALUES (1, 1, 'https://x/', '[\"run.ended\",\"run.cancelled\"]', 'standard', 'o', 1, 'w', 'h')",
    );
    old_runs(&world);
    let kept = world.run_in(State::Ended).id;
    world.sql(&format!(
        "UPDATE deliveries SET state = 'delivered', due_at = NULL, fresh = 0, attempted_at = 1 WHERE run_id <> 3; \
         UPDATE deliveries SET state = 'delivered', due_at = NULL, fresh = 0, attempted_at = 1 WHERE run_id = {kept}"
    ));
    turn(&world).expect("a turn");
    let db = world.runtime.db.borrow();
    let mut select = db.prepare("SELECT run_id FROM deliveries ORDER BY id").expect("SQL");
    let left: Vec<i64> = select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("ids");
    assert_eq!(left, [3, kept], "what is still to come stays, and so does a run's that is not archived");
}

#[test]
fn bulk_cancels_are_forgotten_after_thirty_days() {
    let world = world();
    let run = world.run_in(State::Queued);
    let cancelled = || {
        let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).idempotent("b").body(&json!({"ids": [run.id]})));
        data(&reply)["cancelled"].as_array().map(Vec::len)
    };
    assert_eq!(cancelled(), Some(1));
    world.pass(REPEAT_FOR);
    count(&world);
    assert_eq!((cancelled(), left(&world, "bulk_cancels")), (Some(1), 1), "a repeat is known");
    world.pass(1);
    count(&world);
    assert_eq!(left(&world, "bulk_cancels"), 0);
}
