//! The concurrency limits over HTTP, in parallel.

use std::thread;

use serde_json::{Value, json};

use crate::client::{Answer, Project, eventually};

fn limited(scope: &str, behaviour: &str) -> Project {
    let project = Project::new();
    let path = format!("/api/projects/{}/concurrency", project.id);
    let set = project.server.admin("PUT", &path, Some(&json!({"scope": scope, "behaviour": behaviour}))).ok();
    assert_eq!(set["data"]["project"]["concurrency"], json!({"scope": scope, "behaviour": behaviour}));
    project
}

fn register(project: &Project, body: &Value) -> (i64, String) {
    let run = project.call("PUT", "/api/test-runs", Some(body)).ok()["data"]["test_run"].take();
    (run["id"].as_i64().expect("an id"), run["state"].as_str().expect("a state").to_owned())
}

fn claim(project: &Project, id: i64) -> Answer {
    project.post(&format!("/api/test-runs/{id}/claim"), &json!({"runner": "r"}))
}

fn token(answer: Answer) -> String {
    answer.ok()["data"]["lease"]["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_newer_run_takes_the_place_and_waits_until_the_old_runner_has_stopped() {
    let project = limited("environment", "cancel_previous");
    let staging = json!({"environment": "staging"});
    let (old, _) = register(&project, &staging);
    let lease = token(claim(&project, old));
    let (elsewhere, _) = register(&project, &json!({"environment": "production"}));
    let (new, state) = register(&project, &staging);
    assert_eq!(state, "queued");
    let run = project.show(old);
    assert_eq!((&run["state"], &run["superseded_by"]), (&json!("cancelled"), &json!(new)));
    assert_eq!((&run["cancel"]["cause"], &run["cancel"]["by"]), (&json!("superseded"), &json!("system:concurrency")));
    assert_eq!(project.show(elsewhere)["state"], "queued", "another environment is another scope");

    let waits = claim(&project, new);
    assert_eq!(waits.status, 412);
    assert!(waits.message().contains(&format!("test run {old}")), "{waits:?}");
    assert!(waits.header("retry-after").is_some_and(|s| s.parse::<u32>().is_ok_and(|s| s > 0)), "{waits:?}");
    assert_eq!(project.heartbeat(old, &lease).ok()["data"]["stop"]["cause"], "superseded");
    assert_eq!(project.finish(old, &lease).status, 412);
    assert_eq!(claim(&project, new).status, 200);
}

#[test]
fn a_queued_new_run_waits_its_turn_and_a_newer_one_takes_its_turn() {
    let project = limited("branch_environment", "queue_new");
    let main = json!({"environment": "staging", "branch": "main"});
    let (active, state) = register(&project, &main);
    assert_eq!(state, "queued");
    assert_eq!(register(&project, &json!({"environment": "staging", "branch": "other"})).1, "queued");
    let lease = token(claim(&project, active));
    let (first, state) = register(&project, &main);
    assert_eq!(state, "pending");
    let (second, state) = register(&project, &main);
    assert_eq!((state.as_str(), project.show(first)["superseded_by"].as_i64()), ("pending", Some(second)));
    let waits = claim(&project, second);
    assert_eq!(waits.status, 412);
    assert!(
        waits.message().contains(&format!("test run {active}")) && waits.header("retry-after").is_some(),
        "{waits:?}"
    );
    project.finish(active, &lease).ok();
    assert_eq!(project.show(second)["state"], "queued");
    assert_eq!(project.history(second), ["pending", "queued"]);
    assert_eq!(claim(&project, second).status, 200);
}

#[test]
fn a_protected_run_is_never_superseded() {
    let project = limited("project", "cancel_previous");
    let (kept, _) = register(&project, &json!({"environment": "staging", "protected": true}));
    token(claim(&project, kept));
    let (new, _) = register(&project, &json!({"environment": "staging"}));
    assert_eq!((&project.show(kept)["state"], &project.show(kept)["protected"]), (&json!("started"), &json!(true)));
    assert_eq!(claim(&project, new).status, 412);

    let project = limited("project", "queue_new");
    register(&project, &json!({"environment": "staging"}));
    let (waiting, state) = register(&project, &json!({"environment": "staging", "protected": true}));
    assert_eq!(state, "pending");
    let refused = project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"})));
    refused.is_error(409);
    assert!(refused.message().contains(&format!("{waiting}")), "{refused:?}");
}

/// Many runners at once, each registering, waiting for its turn, and finishing: never two at a time, and none forgotten.
fn crowd(behaviour: &str) {
    let project = limited("project", behaviour);
    let overlaps: usize = thread::scope(|scope| {
        let runners: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (id, _) = register(&project, &json!({"environment": "staging"}));
                    let lease = eventually("a turn or the end", || {
                        let answer = claim(&project, id);
                        match (answer.status, answer.header("retry-after")) {
                            (200, _) => Some(Some(token(answer))),
                            (412, Some(_)) => None,
                            (412, None) => Some(None),
                            _ => panic!("{answer:?}"),
                        }
                    });
                    let Some(lease) = lease else { return 0 };
                    let started = project.get("/api/test-runs?state=started").ok()["pagination"]["total"].as_u64();
                    project.finish(id, &lease);
                    usize::from(started > Some(1))
                })
            })
            .collect();
        runners.into_iter().map(|runner| runner.join().expect("a runner")).sum()
    });
    assert_eq!(overlaps, 0, "two runs held one scope");
    for state in ["pending", "queued", "started"] {
        assert_eq!(
            project.get(&format!("/api/test-runs?state={state}")).ok()["pagination"]["total"],
            0,
            "{state} and forgotten"
        );
    }
}

#[test]
fn a_crowd_that_supersedes_never_shares_a_scope() {
    crowd("cancel_previous");
}

#[test]
fn a_crowd_that_queues_never_shares_a_scope() {
    crowd("queue_new");
}
