//! What is forgotten together with runs, or after its time.

use estop::operations::{admin, bulk_cancel};
use estop::sweeper::REPEAT_FOR;
use estop_protocol::run::State;
use serde_json::json;

use super::{count, left, old_runs, turn, world};
use crate::world::{ADMIN, Ask, data};

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
fn what_went_to_github_of_archived_runs_goes_with_them_also_once_that_is_turned_off() {
    let world = world();
    let change = |body| world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(&body)).status;
    let both = |on: bool| json!({"repo_name": "acme/shop", "check_runs": on, "cancel_ci": on});
    assert_eq!(change(both(true)), 200);
    let runs = old_runs(&world);
    let kept = world.run_in(State::Ended).id;
    for setting in [1, 2] {
        for run in runs.iter().map(|run| run.id).chain([kept]) {
            world.sql(&format!(
                "INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state, due_at) \
                 VALUES ({setting}, {run}, 4, 'run.ended', 'm', '{{}}', 1, 1, iif({run} = 2, 'due', 'delivered'), iif({run} = 2, 1, NULL))"
            ));
        }
    }
    assert_eq!(change(both(false)), 200);
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    assert_eq!((left(&world, "deliveries"), left(&world, &format!("deliveries WHERE run_id = {kept}"))), (2, 2));
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
