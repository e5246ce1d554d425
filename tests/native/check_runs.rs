//! What goes to GitHub: which projects have it, what is written of a run and when, and what comes of what GitHub answers.

use std::cell::RefCell;
use std::collections::VecDeque;

use estop::config::Config;
use estop::http::reply::Reply;
use estop::operations::admin::webhooks as room;
use estop::operations::{admin, cancel, claim, events, finish};
use estop::run::Timeout;
use estop::runtime::LocalFuture;
use estop::webhooks::plan::Heard;
use estop::webhooks::{self, Post, Sender, Which};
use estop_protocol::events::Events;
use estop_protocol::projects::Project;
use pollster::block_on;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, LEASE, MINUTE, NOW, World, data};

const SHA: &str = "C0FFEE00c0ffee00c0ffee00c0ffee00c0ffee00";
const BUILD: &str = "https://github.com/mallory/other/actions/runs/4711/attempts/2";

/// GitHub, as far as the core sees it.
#[derive(Default)]
struct GitHub {
    /// What it answers, in turn; once that is over, what it would if all is well.
    answers: RefCell<VecDeque<Heard>>,
    heard: RefCell<Vec<Post>>,
}

impl Sender for GitHub {
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>> {
        let mut heard = self.heard.borrow_mut();
        let mut answers = self.answers.borrow_mut();
        let all = posts.iter().map(|post| {
            heard.push(post.clone());
            answers.pop_front().unwrap_or_else(|| well(post))
        });
        let all: Vec<Heard> = all.collect();
        Box::pin(async move { all })
    }
}

/// What GitHub answers if all is well. Each repository has its own numbers.
fn well(post: &Post) -> Heard {
    let grant = post.grant.as_ref().expect("a grant");
    let (status, id) = match (post.method, grant.writes) {
        ("POST", "checks") => (201, Some(900)),
        ("PATCH", "checks") => (200, Some(900)),
        _ => (202, None),
    };
    Heard { status: Some(status), id, calls: 1, ..Heard::default() }
}

fn status(status: u16) -> Heard {
    Heard { status: Some(status), body: Some(format!("POST /x: {status}")), calls: 3, ..Heard::default() }
}

impl GitHub {
    fn that_answers(answers: impl IntoIterator<Item = Heard>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), ..Self::default() }
    }

    /// Takes what it has heard: the method, what follows the repository, and the body.
    fn take(&self) -> Vec<(String, String, Value)> {
        let posts = std::mem::take(&mut *self.heard.borrow_mut());
        let told = posts.iter().map(|post| {
            let path =
                post.url.strip_prefix("https://api.github.com/repos/acme/shop/").expect("the admin's repository");
            let body = serde_json::from_str(&post.body).unwrap_or_default();
            (post.method.to_owned(), path.to_owned(), body)
        });
        told.collect()
    }
}

fn send(world: &World, github: &GitHub, which: Which) {
    let sent = block_on(webhooks::deliver(&world.database(), github, which, world.now.get()));
    sent.expect("it is sent");
}

/// Sends all that is fresh.
fn flush(world: &World, github: &GitHub) {
    for _ in 0..5 {
        send(world, github, Which::Fresh);
    }
}

fn change(world: &World, body: &Value) -> Reply {
    world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(body))
}

fn changed(world: &World, body: &Value) -> Value {
    let reply = change(world, body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let project = data(&reply)["project"].clone();
    // The database writes it.
    let read: Project = serde_json::from_value(project.clone()).expect("a project of the protocol's");
    assert_eq!(serde_json::to_value(&read).expect("JSON"), project);
    project
}

/// A world whose project 1 has this on.
fn world(settings: &Value) -> World {
    let world = World::new();
    let mut body = json!({"repo_name": "acme/shop"});
    body.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
    changed(&world, &body);
    world
}

/// From now on a run takes the place of the one before it.
fn cancel_previous(world: &World) {
    let limit = json!({"scope": "environment", "behaviour": "cancel_previous"});
    let limit = world.send(&Ask::new(&admin::projects::LIMIT).about(1).with_key(ADMIN).body(&limit));
    assert_eq!(limit.status, 200, "{limit:?}");
}

fn registered(world: &World) -> i64 {
    world.register(&json!({"environment": "staging", "build": {"branch": "main", "commit": SHA, "url": BUILD}}))
}

/// A started run, and the lease.
fn started(world: &World) -> (i64, String) {
    let id = registered(world);
    let reply = world.ask(&claim::OPERATION, id, &json!({}));
    (id, data(&reply)["lease"]["token"].as_str().expect("a token").to_owned())
}

fn cancel(world: &World, id: i64, reason: &str) {
    assert_eq!(world.ask(&cancel::OPERATION, id, &json!({"reason": reason})).status, 200);
}

fn ended(world: &World, id: i64, body: Value) {
    assert_eq!(world.ask(&finish::OPERATION, id, &body).status, 200);
}

fn causes(world: &World, id: i64) -> Vec<(String, String, Option<String>)> {
    let reply = world.ask(&events::OPERATION, id, &json!({}));
    let Events { events } = serde_json::from_value(data(&reply)).expect("events");
    events.into_iter().map(|event| (event.cause, event.by, event.reason)).collect()
}

fn failures(world: &World) -> Value {
    let reply = world.send(&Ask::new(&admin::projects::LIST).with_key(ADMIN));
    let projects = data(&reply)["projects"].clone();
    projects.as_array().expect("projects").iter().find(|p| p["id"] == 1).expect("one")["github_failures"].clone()
}

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

#[test]
fn a_project_has_it_only_with_a_repository_of_githubs() {
    let world = World::new();
    for (body, field) in [
        (json!({"check_runs": true}), "`check_runs`"),
        (json!({"cancel_ci": true, "name": "Renamed"}), "`cancel_ci`"),
        (json!({"check_runs": true, "repo_name": "shop"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/shop/x"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/.."}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/shop?x"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "../x"}), "`repo_name`"),
        (json!({"check_runs": true, "repo_name": "acme/"}), "`repo_name`"),
    ] {
        let refused = change(&world, &body);
        assert!(refused.status == 400 && refused.body.contains(field), "{body}: {refused:?}");
    }
    let project = changed(&world, &json!({}));
    assert_eq!((&project["name"], &project["repo_name"]), (&json!("One"), &json!(null)), "nothing of it");
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(false), &json!(false)));
    let project = changed(&world, &json!({"check_runs": true, "cancel_ci": true, "repo_name": "acme/.github"}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(true), &json!(true)));
    let project = changed(&world, &json!({"cancel_ci": false}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(true), &json!(false)));
    let project = changed(&world, &json!({"repo_name": "none of GitHub's"}));
    assert_eq!(project["check_runs"], false);
    let db = world.runtime.db.borrow();
    let mut select = db.prepare("SELECT what FROM admin_events WHERE project_id = 1 ORDER BY id").expect("SQL");
    let whats: Vec<String> =
        select.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a text")).collect();
    let ends = [
        "repository_changed",
        "check_runs_turned_on",
        "cancel_ci_turned_on",
        "cancel_ci_turned_off",
        "repository_changed",
        "check_runs_turned_off",
    ];
    assert!(whats.ends_with(&ends.map(str::to_owned)), "{whats:?}");
}

#[test]
fn a_service_that_is_no_app_turns_nothing_on() {
    let mut world = World::new();
    world.config.github_api = None;
    let refused = change(&world, &json!({"check_runs": true, "repo_name": "acme/shop"}));
    assert!(refused.status == 400 && refused.body.contains("docs/github.md"), "{refused:?}");
    assert_eq!(changed(&world, &json!({"check_runs": false}))["check_runs"], false);
}

#[test]
fn what_goes_to_github_is_no_webhook_of_anybodys() {
    let world = world(&json!({"check_runs": true, "cancel_ci": true}));
    let admin =
        |operation, id: i64, body: &Value| world.send(&Ask::new(operation).about(id).with_key(ADMIN).body(body));
    for n in 0..10 {
        let made = admin(&room::CREATE, 1, &json!({"url": format!("https://example.com/{n}")}));
        assert_eq!(made.status, 200, "they are not counted among the ten: {made:?}");
    }
    assert_eq!(data(&admin(&room::LIST, 1, &json!({})))["webhooks"].as_array().map(Vec::len), Some(10));
    let ids: Vec<i64> = {
        let db = world.runtime.db.borrow();
        let mut select = db.prepare("SELECT id FROM webhooks WHERE github IS NOT NULL").expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect()
    };
    assert_eq!(ids.len(), 2);
    flush(&world, &GitHub::default());
    started(&world);
    for id in ids {
        for operation in [&room::SHOW, &room::CHANGE, &room::DELETE, &room::ROTATE, &room::DELIVERIES, &room::TEST] {
            let reply = admin(operation, id, &json!({}));
            assert_eq!(reply.status, 404, "{}: {reply:?}", operation.name());
        }
    }
    let project = changed(&world, &json!({}));
    assert_eq!((&project["check_runs"], &project["cancel_ci"]), (&json!(true), &json!(true)));
    let delivery: i64 = world
        .runtime
        .db
        .borrow()
        .query_row(
            "SELECT d.id FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE w.github IS NOT NULL",
            [],
            |r| r.get(0),
        )
        .expect("a delivery");
    world.sql(&format!("UPDATE deliveries SET state = 'failed', due_at = NULL, fresh = 0 WHERE id = {delivery}"));
    assert_eq!(admin(&room::REDELIVER, delivery, &json!({})).status, 404);
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

#[test]
fn the_app_has_an_id_and_a_key_and_an_api() {
    let config = |id: &str, key: &str, api: &str, secret: &str, local: &str| {
        let (config, complaints) = Config::read(|name| match name {
            "GITHUB_APP_ID" => Some(id.into()),
            "GITHUB_APP_PRIVATE_KEY" => Some(key.into()),
            "GITHUB_API" => Some(api.into()),
            "WEBHOOK_SECRET" => Some(secret.into()),
            "ESTOP_LOCAL" => Some(local.into()),
            _ => None,
        });
        (config.github_api, complaints)
    };
    let is = |api: &str| (Some(api.to_owned()), Vec::<String>::new());
    assert_eq!(config("1", "k", "", "s", "0"), is("https://api.github.com"));
    assert_eq!(config("1", "k", "https://ghe.example.com/api/v3/", "s", "0"), is("https://ghe.example.com/api/v3"));
    assert_eq!(config("1", "k", "http://127.0.0.1:1", "s", "1"), is("http://127.0.0.1:1"));
    assert_eq!(config("", "", "https://api.github.com", "", "0"), (None, vec![]));
    for (id, key, api, secret, named) in [
        ("1", "", "", "s", "GITHUB_APP_PRIVATE_KEY"),
        ("", "k", "", "s", "GITHUB_APP_ID"),
        ("1", "k", "", "", "WEBHOOK_SECRET"),
        ("1", "k", "http://127.0.0.1:1", "s", "GITHUB_API"),
        ("1", "k", "https://api.github.com/x", "s", "GITHUB_API"),
        ("1", "k", "https://user@api.github.com", "s", "GITHUB_API"),
    ] {
        let (api, complaints) = config(id, key, api, secret, "0");
        assert!(api.is_none() && complaints.len() == 1 && complaints[0].contains(named), "{complaints:?}");
    }
}
