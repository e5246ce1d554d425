//! What comes of what GitHub answers.

use estop::webhooks::Which;
use estop::webhooks::plan::Heard;
use serde_json::json;

use super::{GitHub, cancel, changed, failures, flush, registered, send, started, status, world};
use crate::world::MINUTE;

#[test]
fn what_github_answers_of_a_run_that_is_gone_is_recorded_without_it() {
    let world = world(&json!({"check_runs": true, "cancel_ci": true}));
    let github = GitHub::default();
    let (first, _) = started(&world);
    cancel(&world, first, "why");
    let never = registered(&world);
    cancel(&world, never, "why");
    registered(&world);
    // As the archive does.
    let db = world.runtime.db.borrow();
    db.execute_batch(
        "DROP TRIGGER runs_are_kept; DROP TRIGGER run_events_are_kept; DROP TRIGGER run_shards_are_kept; DELETE FROM runs WHERE id <= 2;",
    )
    .expect("gone");
    drop(db);
    assert_eq!((first, never), (1, 2));
    flush(&world, &github);
    assert!(github.take().len() >= 2);
    let count = |sql: &str| world.runtime.db.borrow().query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
    assert_eq!(count("SELECT count(*) FROM deliveries WHERE state <> 'delivered'"), 0);
    assert_eq!(count("SELECT count(*) FROM check_runs"), 0);
}

#[test]
fn a_limit_of_githubs_is_waited_for() {
    let world = world(&json!({"check_runs": true}));
    let github = GitHub::that_answers([Heard { retry_after: Some(30 * MINUTE), ..status(403) }]);
    started(&world);
    flush(&world, &github);
    world.pass(29 * MINUTE);
    send(&world, &github, Which::Due);
    assert_eq!(github.take().len(), 1);
    world.pass(2 * MINUTE);
    send(&world, &github, Which::Due);
    assert_eq!(github.take().len(), 1);
}

#[test]
fn an_admin_sees_what_fails_and_why_and_after_five_days_it_is_turned_off() {
    let world = world(&json!({"check_runs": true, "cancel_ci": true}));
    let refused =
        Heard { refused: true, body: Some("GET /repos/acme/shop/installation: …".to_owned()), ..status(404) };
    let github = GitHub::that_answers([refused]);
    started(&world);
    flush(&world, &github);
    let failure = failures(&world)[0].clone();
    let at = failure["since"].clone();
    assert_eq!(
        failure,
        json!({
            "setting": "check_runs", "since": at, "turned_off_at": null, "at": at, "status": 404, "failure": "status",
            "answer": "GET /repos/acme/shop/installation: …",
        })
    );
    for _ in 0..6 {
        world.pass(24 * 60 * MINUTE);
        github.answers.borrow_mut().push_back(status(500));
        send(&world, &github, Which::Due);
    }
    let project = changed(&world, &json!({}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(false), &json!(true)), "{project}");
    assert!(!project["github_failures"][0]["turned_off_at"].is_null(), "{project}");
    let project = changed(&world, &json!({"check_runs": true}));
    assert_eq!((&project["check_runs"], &project["github_failures"]), (&json!(true), &json!([])));
    github.take();
    github.answers.borrow_mut().clear();
    started(&world);
    flush(&world, &github);
    assert!(!github.take().is_empty());
}
