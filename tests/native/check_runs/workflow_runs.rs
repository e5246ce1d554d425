//! The workflow run of a run that nobody stops is cancelled.

use estop::run::Timeout;
use estop::webhooks::Which;
use estop::webhooks::plan::Heard;
use serde_json::{Value, json};

use super::{GitHub, cancel, cancel_previous, causes, failures, flush, registered, send, started, status, world};
use crate::world::{LEASE, MINUTE, NOW};

#[test]
fn the_workflow_run_of_a_run_that_nobody_stops_is_cancelled_in_the_admins_repository_once_and_recorded() {
    let world = world(&json!({"cancel_ci": true}));
    let github = GitHub::default();
    let never = registered(&world);
    cancel(&world, never, "wrong branch");
    let (lost, _) = started(&world);
    cancel(&world, lost, "wrong branch");
    flush(&world, &github);
    let order = ("POST".to_owned(), "actions/runs/4711/cancel".to_owned(), Value::Null);
    assert_eq!(github.heard.borrow()[0].grant.as_ref().map(|grant| grant.writes), Some("actions"));
    assert_eq!(github.take(), std::slice::from_ref(&order));
    world.pass(2 * LEASE);
    assert_eq!(world.sweep(Timeout::Unconfirmed), [lost]);
    let (dead, _) = started(&world);
    world.pass(2 * LEASE);
    assert_eq!(world.sweep(Timeout::Lapsed), [dead]);
    flush(&world, &github);
    assert_eq!(github.take(), [order.clone(), order]);
    for run in [never, lost, dead] {
        let last = causes(&world, run).pop().expect("an event");
        let expected = ("ci_cancelled".to_owned(), "system:github".to_owned(), Some("acme/shop 4711".to_owned()));
        assert_eq!(last, expected);
    }
    send(&world, &github, Which::Due);
    assert_eq!(github.take(), []);
}

#[test]
fn a_workflow_run_that_is_over_or_not_there_needs_no_second_attempt_and_leaves_no_event() {
    for answer in [409, 404] {
        let world = world(&json!({"cancel_ci": true}));
        let github = GitHub::that_answers([status(answer)]);
        let id = registered(&world);
        cancel(&world, id, "why");
        flush(&world, &github);
        world.pass(48 * 60 * MINUTE);
        send(&world, &github, Which::Due);
        assert_eq!(github.take().len(), 1, "{answer}");
        assert_eq!(failures(&world), json!([]), "{answer}");
        assert!(causes(&world, id).iter().all(|(cause, ..)| cause != "ci_cancelled"), "{answer}");
    }
    // Where the App is not installed, that is for the admin to mend.
    let world = world(&json!({"cancel_ci": true}));
    let github = GitHub::that_answers([Heard { refused: true, ..status(404) }]);
    cancel(&world, registered(&world), "why");
    flush(&world, &github);
    assert_eq!(failures(&world)[0]["status"], 404);
    world.pass(2 * MINUTE);
    send(&world, &github, Which::Due);
    assert_eq!((github.take().len(), failures(&world)), (2, json!([])));
}

#[test]
fn a_workflow_run_is_cancelled_within_the_hour_or_not_at_all() {
    let world = world(&json!({"cancel_ci": true}));
    let github = GitHub::that_answers((0..9).map(|_| status(500)));
    cancel(&world, registered(&world), "why");
    flush(&world, &github);
    for _ in 0..20 {
        world.pass(35 * MINUTE);
        send(&world, &github, Which::Due);
    }
    let attempts = github.take().len();
    assert!((2..=4).contains(&attempts), "{attempts}: somebody may have started it again, and means it to run");
}

#[test]
fn an_order_that_comes_too_late_to_be_sent_is_given_up() {
    for which in [Which::Fresh, Which::Due] {
        let world = world(&json!({"cancel_ci": true}));
        let github = GitHub::default();
        cancel(&world, registered(&world), "why");
        world.pass(61 * MINUTE);
        send(&world, &github, which);
        send(&world, &github, Which::Due);
        assert_eq!(github.take(), [], "{which:?}");
        let open = "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL";
        assert_eq!(world.runtime.db.borrow().query_row(open, [], |row| row.get::<_, i64>(0)), Ok(0));
        assert_eq!(failures(&world), json!([]), "that is for nobody to mend");
    }
}

#[test]
fn a_workflow_run_that_was_started_once_more_goes_on() {
    let world = world(&json!({"cancel_ci": true}));
    cancel_previous(&world);
    let github = GitHub::default();
    // What takes its place is in the same workflow run.
    let first = registered(&world);
    let second = registered(&world);
    assert_eq!(world.row(first).stop_outcome.as_deref(), Some("never_started"));
    flush(&world, &github);
    assert_eq!(github.take(), []);
    // The same number, and a later attempt: `edge` looks.
    cancel(&world, second, "why");
    flush(&world, &github);
    let post = github.heard.borrow()[0].clone();
    assert_eq!(post.unless_started_after.as_deref(), Some(NOW.to_string().as_str()));
}

#[test]
fn a_forged_event_of_a_workflow_run_is_refused() {
    let world = world(&json!({"cancel_ci": true}));
    let id = registered(&world);
    cancel(&world, id, "why");
    let forged = format!(
        "INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by) \
         VALUES ({id}, 8, 1, 'cancelled', 'cancelled', 'ci_cancelled', 'system:github')"
    );
    assert!(world.runtime.db.borrow().execute_batch(&forged).is_err());
}
