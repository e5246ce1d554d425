//! What is written of a run, and when.

use std::cell::RefCell;

use estop::operations::{claim, finish};
use estop::run::Timeout;
use estop::webhooks::Which;
use estop::webhooks::plan::Heard;
use serde_json::{Value, json};

use super::{GitHub, SHA, cancel, cancel_previous, changed, ended, flush, registered, send, started, status, world};
use crate::world::{LEASE, MINUTE, NOW};

#[test]
fn a_run_is_a_check_run_in_progress_and_then_what_came_of_it() {
    let world = world(&json!({"check_runs": true}));
    let github = GitHub::default();
    let (id, token) = started(&world);
    assert!(world.runtime.delivers.take(), "it goes out right after the answer");
    flush(&world, &github);
    let at = NOW.to_string();
    let page = format!("https://estop.example/runs/{id}");
    let created = json!({
        "name": "estop / staging", "head_sha": SHA.to_lowercase(), "details_url": page, "external_id": id.to_string(),
        "status": "in_progress", "started_at": at,
    });
    let post = github.heard.borrow()[0].clone();
    let grant = post.grant.clone().expect("a grant");
    assert_eq!(
        (grant.api.as_str(), grant.repo.as_str(), grant.writes),
        ("https://api.github.com", "acme/shop", "checks")
    );
    assert!(post.headers.contains(&("accept", "application/vnd.github+json".to_owned())), "{post:?}");
    assert!(post.headers.contains(&("x-github-api-version", "2026-03-10".to_owned())), "{post:?}");
    assert_eq!(github.take(), [("POST".to_owned(), "check-runs".to_owned(), created)]);
    world.pass(1_000);
    let counts = json!({"total": 412, "success": 409, "failed": 3, "skipped": 0, "flaky": 0});
    ended(&world, id, json!({"lease": token, "state": "ended", "result": "failed", "counts": counts}));
    flush(&world, &github);
    let heard = github.take();
    let (method, path, body) = &heard[0];
    assert_eq!((heard.len(), method.as_str(), path.as_str()), (1, "PATCH", "check-runs/900"));
    assert_eq!((&body["status"], &body["conclusion"]), (&json!("completed"), &json!("failure")));
    assert_eq!((&body["started_at"], &body["completed_at"]), (&json!(at), &json!(world.now.get().to_string())));
    assert_eq!(body["output"]["title"], "failed: 3 of 412 tests failed");
    assert_eq!(body["output"]["summary"], format!("[Test run {id}]({page}). Its tests are over."));
    assert!(body.get("head_sha").is_none() && body.get("name").is_none(), "{body}");
}

#[test]
fn each_end_of_a_run_has_a_conclusion_of_its_own_and_says_why() {
    let world = world(&json!({"check_runs": true}));
    cancel_previous(&world);
    let github = GitHub::default();
    let ends = |end: &dyn Fn(i64, String)| {
        let (id, token) = started(&world);
        end(id, token.clone());
        // So that the next one may be claimed.
        world.ask(&finish::OPERATION, id, &json!({"lease": token, "state": "ended", "result": "passed"}));
        flush(&world, &github);
        let heard = github.take();
        let (_, _, body) = heard.iter().find(|(method, ..)| method == "PATCH").expect("an end");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&body["conclusion"]), text(&body["output"]["title"]))
    };
    let is = |conclusion: &str, title: &str| (conclusion.to_owned(), title.to_owned());
    let counts = json!({"total": 7, "success": 7, "failed": 0, "skipped": 0, "flaky": 0});
    assert_eq!(
        ends(&|id, token| {
            ended(&world, id, json!({"lease": token, "state": "ended", "result": "passed", "counts": counts}));
        }),
        is("success", "passed: 7 tests")
    );
    assert_eq!(
        ends(&|id, token| ended(&world, id, json!({"lease": token, "state": "ended", "result": "passed"}))),
        is("success", "passed")
    );
    assert_eq!(
        ends(&|id, token| {
            ended(&world, id, json!({"lease": token, "state": "error", "error_code": "worker_interrupted"}));
        }),
        is("failure", "broke: worker interrupted")
    );
    assert_eq!(ends(&|id, _| cancel(&world, id, "wrong branch")), is("cancelled", "cancelled by ada: wrong branch"));
    assert_eq!(ends(&|id, _| cancel(&world, id, "")), is("cancelled", "cancelled by ada"));
    assert_eq!(ends(&|id, _| cancel(&world, id, "two\nlines")), is("cancelled", "cancelled by ada: two lines"));
    let next = RefCell::new(0);
    let superseded = ends(&|_, _| *next.borrow_mut() = registered(&world));
    assert_eq!(superseded, is("cancelled", &format!("run {} took its place", next.borrow())));
    let long = ends(&|id, _| cancel(&world, id, &"é".repeat(1000))).1;
    assert_eq!(long.chars().count(), 200);
}

#[test]
fn a_runner_that_is_lost_is_said_of_its_check_run() {
    let world = world(&json!({"check_runs": true}));
    let github = GitHub::default();
    let (id, _) = started(&world);
    cancel(&world, id, "wrong branch");
    flush(&world, &github);
    github.take();
    world.pass(2 * LEASE);
    assert_eq!(world.sweep(Timeout::Unconfirmed), [id]);
    flush(&world, &github);
    let heard = github.take();
    let (method, path, body) = &heard[0];
    assert_eq!((heard.len(), method.as_str(), path.as_str()), (1, "PATCH", "check-runs/900"));
    assert_eq!(body["output"]["title"], "cancelled by ada: wrong branch (its runner is lost)");
    assert_eq!((&body["conclusion"], &body["completed_at"]), (&json!("cancelled"), &json!(NOW.to_string())));
    // One whose runner died before anybody stopped it, too.
    let (id, _) = started(&world);
    world.pass(2 * LEASE);
    assert_eq!(world.sweep(Timeout::Lapsed), [id]);
    flush(&world, &github);
    let title = github.take()[1].2["output"]["title"].as_str().expect("a title").to_owned();
    assert!(
        title.starts_with("cancelled: no heartbeat for at least") && title.ends_with("(its runner is lost)"),
        "{title}"
    );
}

#[test]
fn nothing_is_written_of_what_github_cannot_show() {
    let world = world(&json!({"check_runs": true, "cancel_ci": true}));
    let github = GitHub::default();
    let builds = [
        json!({"branch": "main"}),
        json!({"commit": "c0ffee", "url": "https://ci.example/1"}),
        json!({"commit": "g".repeat(40), "url": "https://github.com/acme/shop/actions/runs/"}),
        json!({"commit": format!("{SHA}0"), "url": "https://github.com/acme/shop/actions/runs/x1"}),
    ];
    for build in builds {
        let id = world.register(&json!({"environment": "staging", "build": build}));
        cancel(&world, id, "why");
        let id = world.register(&json!({"environment": "staging", "build": build}));
        assert_eq!(world.ask(&claim::OPERATION, id, &json!({})).status, 200);
        cancel(&world, id, "why");
        world.pass(2 * LEASE);
        world.sweep(Timeout::Unconfirmed);
    }
    // One that never started has no check run, and one whose runner stops needs nobody to stop it.
    changed(&world, &json!({"cancel_ci": false}));
    cancel(&world, registered(&world), "why");
    changed(&world, &json!({"check_runs": false, "cancel_ci": true}));
    let (id, token) = started(&world);
    cancel(&world, id, "why");
    world.ask(&finish::OPERATION, id, &json!({"lease": token, "state": "ended", "result": "passed"}));
    let (id, token) = started(&world);
    ended(&world, id, json!({"lease": token, "state": "ended", "result": "passed"}));
    flush(&world, &github);
    assert_eq!(github.take(), []);
    assert_eq!(
        world.runtime.db.borrow().query_row("SELECT count(*) FROM deliveries", [], |r| r.get::<_, i64>(0)),
        Ok(0)
    );
}

#[test]
fn a_check_run_whose_creation_was_not_heard_of_gets_a_successor_that_is_complete() {
    let world = world(&json!({"check_runs": true}));
    let github = GitHub::that_answers([Heard { timed_out: true, calls: 3, ..Heard::default() }]);
    let (id, token) = started(&world);
    flush(&world, &github);
    ended(&world, id, json!({"lease": token, "state": "ended", "result": "passed"}));
    flush(&world, &github);
    assert_eq!(github.take().len(), 1, "the end waits until the beginning is there");
    // It is tried for three days and given up.
    for _ in 0..9 {
        world.pass(27 * 60 * MINUTE);
        github.answers.borrow_mut().push_back(status(500));
        changed(&world, &json!({"check_runs": true}));
        send(&world, &github, Which::Due);
    }
    flush(&world, &github);
    let heard = github.take();
    let (method, path, body) = heard.last().expect("an end");
    assert_eq!((method.as_str(), path.as_str()), ("POST", "check-runs"));
    assert_eq!((&body["name"], &body["head_sha"]), (&json!("estop / staging"), &json!(SHA.to_lowercase())));
    assert_eq!((&body["status"], &body["conclusion"]), (&json!("completed"), &json!("success")));
}

#[test]
fn a_check_run_of_another_repository_is_left_alone() {
    let world = world(&json!({"check_runs": true}));
    let github = GitHub::default();
    let (id, token) = started(&world);
    flush(&world, &github);
    changed(&world, &json!({"repo_name": "acme/store"}));
    ended(&world, id, json!({"lease": token, "state": "ended", "result": "passed"}));
    flush(&world, &github);
    let last = github.heard.borrow().last().cloned().expect("an end");
    assert_eq!((last.method, last.url.as_str()), ("POST", "https://api.github.com/repos/acme/store/check-runs"));
    assert_eq!(last.grant.expect("a grant").repo, "acme/store");
}
