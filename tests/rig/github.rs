//! What the real Worker writes to GitHub: check runs, and the order to cancel a workflow run. GitHub is a stand-in that holds each
//! request, and each of its own answers, to GitHub's own description of its API (`github.mjs`).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::backend::Fault;
use crate::client::{Project, Server, eventually, within};
use crate::process;
use crate::workerd::{Rig, timed};

const SHA: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

/// The stand-in, ended when dropped.
struct GitHub {
    server: Server,
    key: String,
    child: Child,
}

/// The modules that `scripts/setup --rig` installs.
fn modules() -> &'static str {
    static MODULES: OnceLock<String> = OnceLock::new();
    MODULES.get_or_init(|| {
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup");
        let shown = Command::new("bash").arg(setup).arg("--rig").output().expect("bash");
        assert!(shown.status.success(), "scripts/setup failed: {}", String::from_utf8_lossy(&shown.stderr));
        String::from_utf8(shown.stdout).expect("a path").trim().to_owned()
    })
}

impl GitHub {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/github.mjs");
        let mut node = Command::new(process::tool("node"));
        let mut child = node.arg(script).arg(modules()).stdout(Stdio::piped()).spawn().expect("Node.js");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| told[name].as_str().expect("a text").to_owned();
        Self { server: Server::at(text("url")), key: text("key"), child }
    }

    /// What happens instead to the next request to an endpoint.
    fn next(&self, what: &Value) {
        self.server.send("POST", "/rig/next", &[], what.to_string().as_bytes());
    }

    /// No token that it gave so far is good any more.
    fn forget_tokens(&self) {
        self.server.send("POST", "/rig/forget", &[], b"");
    }

    /// What it was asked since it began: the method, the path, and the body.
    #[track_caller]
    fn heard(&self) -> Vec<(String, String, Value)> {
        let heard = self.server.send("GET", "/rig/heard", &[], b"").json();
        assert_eq!(heard["problems"], json!([]), "every request and answer is as GitHub describes it");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let requests = heard["requests"].as_array().expect("requests").clone();
        requests.iter().map(|one| (text(&one["method"]), text(&one["path"]), one["body"].clone())).collect()
    }

    /// What was written.
    #[track_caller]
    fn written(&self) -> Vec<(String, String, Value)> {
        let mut heard = self.heard();
        heard.retain(|(method, path, _)| method != "GET" && !path.ends_with("/access_tokens"));
        heard
    }

    /// How often it gave, or was to give, a token.
    fn asked_for_tokens(&self) -> usize {
        self.heard().iter().filter(|(_, path, _)| path.ends_with("/access_tokens")).count()
    }

    /// What it is asked once there are so many.
    #[track_caller]
    fn eventually(&self, count: usize) -> Vec<(String, String, Value)> {
        within(std::time::Duration::from_secs(20), "requests", || {
            let written = self.written();
            (written.len() >= count).then_some(written)
        })
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heard();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Worker that is an App of this GitHub's, with this key.
fn rig_with(github: &GitHub, key: &str) -> Rig {
    let key = format!(r#"(name = "GITHUB_APP_PRIVATE_KEY", text = "{}"), "#, key.replace('\n', "\\n"));
    Rig::of(|estop| {
        let api = r#"(name = "GITHUB_API", text = "https://api.github.com")"#;
        let id = r#"(name = "GITHUB_APP_ID", text = "")"#;
        assert!(estop.contains(api) && estop.contains(id), "both are in wrangler.toml");
        let estop = estop.replace(api, &format!(r#"(name = "GITHUB_API", text = "{}")"#, github.server.url));
        let estop = estop.replace(id, r#"(name = "GITHUB_APP_ID", text = "4242")"#);
        estop.replace(r#"(name = "ADMIN_TOKEN","#, &format!(r#"{key}(name = "ADMIN_TOKEN","#))
    })
}

fn rig_of(github: &GitHub) -> Rig {
    rig_with(github, &github.key)
}

/// A project of `acme/shop` with this on.
fn project(rig: &Rig, settings: &Value) -> Project {
    let project = rig.project();
    change(&project, settings);
    project
}

fn change(project: &Project, body: &Value) -> Value {
    let changed = project.server.admin("PATCH", &format!("/api/projects/{}", project.id), Some(body)).ok();
    changed["data"]["project"].clone()
}

/// What GitHub does not take, once an attempt has failed.
fn failure(project: &Project) -> Value {
    within(std::time::Duration::from_secs(20), "a failure", || {
        change(project, &json!({}))["github_failures"].get(0).cloned()
    })
}

fn queued(project: &Project) -> i64 {
    queued_by(project, 4711)
}

/// Registered by a job of this workflow run.
fn queued_by(project: &Project, workflow_run: i64) -> i64 {
    let url = format!("https://github.com/mallory/elsewhere/actions/runs/{workflow_run}");
    let body = json!({"environment": "staging", "build": {"branch": "main", "commit": SHA, "url": url}});
    let answer = project.call("PUT", "/api/test-runs", Some(&body)).ok();
    answer["data"]["test_run"]["id"].as_i64().expect("an id")
}

fn started(project: &Project) -> (i64, String) {
    let id = queued(project);
    let claimed = project.post(&format!("/api/test-runs/{id}/claim"), &json!({})).ok();
    (id, claimed["data"]["lease"]["token"].as_str().expect("a token").to_owned())
}

fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis()).expect("milliseconds")
}

/// Whether all that was to be sent is recorded.
fn recorded(rig: &Rig) {
    eventually("all recorded", || {
        let open = "SELECT count(*) FROM deliveries WHERE state = 'due' OR state = 'waiting'";
        (rig.backend.value::<i64>(open) == 0).then_some(())
    });
}

#[test]
fn a_run_is_a_check_run_from_its_claim_to_its_end() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let project = project(&rig, &json!({"check_runs": true}));
    let (passed, token) = started(&project);
    let written = github.eventually(1);
    let page = format!("{}/runs/{passed}", rig.server.url);
    let (method, path, body) = &written[0];
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/repos/acme/shop/check-runs"));
    assert_eq!((&body["name"], &body["head_sha"]), (&json!("estop / staging"), &json!(SHA)));
    assert_eq!((&body["status"], &body["details_url"]), (&json!("in_progress"), &json!(page)));
    let counts = json!({"total": 3, "success": 3, "failed": 0, "skipped": 0, "flaky": 0});
    let end = json!({"lease": token, "state": "ended", "result": "passed", "counts": counts});
    project.post(&format!("/api/test-runs/{passed}/finish"), &end).ok();
    let (method, path, body) = github.eventually(2).pop().expect("an end");
    assert_eq!((method.as_str(), path.as_str()), ("PATCH", "/repos/acme/shop/check-runs/900"));
    assert_eq!((&body["conclusion"], &body["output"]["title"]), (&json!("success"), &json!("passed: 3 tests")));
    recorded(&rig);
    let (failed, token) = started(&project);
    let end = json!({"lease": token, "state": "ended", "result": "failed"});
    project.post(&format!("/api/test-runs/{failed}/finish"), &end).ok();
    assert_eq!(github.eventually(4)[3].2["conclusion"], "failure");
    recorded(&rig);
    let (stopped, token) = started(&project);
    project.cancel(stopped).ok();
    let (_, path, body) = github.eventually(6).pop().expect("an end");
    assert_eq!(path, "/repos/acme/shop/check-runs/902");
    assert_eq!(
        (&body["conclusion"], &body["output"]["title"]),
        (&json!("cancelled"), &json!("cancelled by ada@example.com: wrong branch"))
    );
    project.finish(stopped, &token);
    recorded(&rig);
    assert_eq!(github.written().len(), 6, "a stop that is confirmed changes nothing there");
    assert_eq!(github.asked_for_tokens(), 1, "one token serves for an hour");
    let log = rig.log();
    assert!(!log.contains("ghs_") && !log.contains("eyJ") && !log.contains("PRIVATE KEY"), "no secret in the log");
    assert_eq!(change(&project, &json!({}))["github_failures"], json!([]));
}

#[test]
fn a_superseded_run_and_a_lost_runner_say_so() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let project = project(&rig, &json!({"check_runs": true, "cancel_ci": true}));
    let limit = json!({"scope": "environment", "behaviour": "cancel_previous"});
    project.server.admin("PUT", &format!("/api/projects/{}/concurrency", project.id), Some(&limit)).ok();
    let (first, _) = started(&project);
    github.eventually(1);
    recorded(&rig);
    let second = queued_by(&project, 4712);
    let body = github.eventually(2).pop().expect("an end").2;
    assert_eq!(
        (&body["conclusion"], &body["output"]["title"]),
        (&json!("cancelled"), &json!(format!("run {second} took its place")))
    );
    recorded(&rig);
    rig.tick(rig.lapsed_at(first) + 1);
    let mut written = github.eventually(4).split_off(2);
    written.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let (method, path, body) = &written[0];
    assert_eq!((method.as_str(), path.as_str()), ("PATCH", "/repos/acme/shop/check-runs/900"));
    assert_eq!(body["output"]["title"], format!("run {second} took its place (its runner is lost)"));
    // Whatever repository the run's own address names, it is the admin's that is asked.
    let (method, path, body) = &written[1];
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/repos/acme/shop/actions/runs/4711/cancel"));
    assert_eq!(body, &Value::Null);
    recorded(&rig);
    let events = project.get(&format!("/api/test-runs/{first}/events")).ok();
    let last = events["data"]["events"].as_array().and_then(|events| events.last()).cloned().expect("an event");
    assert_eq!(
        (&last["cause"], &last["by"], &last["reason"]),
        (&json!("ci_cancelled"), &json!("system:github"), &json!("acme/shop 4711"))
    );
}

#[test]
fn the_workflow_run_of_a_run_that_never_started_is_cancelled_only_where_that_is_on() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let off = project(&rig, &json!({"check_runs": true}));
    let on = project(&rig, &json!({"cancel_ci": true}));
    off.cancel(queued(&off)).ok();
    let (stopping, token) = started(&on);
    on.cancel(stopping).ok();
    on.finish(stopping, &token);
    let id = queued(&on);
    on.cancel(id).ok();
    assert_eq!(github.eventually(1)[0].1, "/repos/acme/shop/actions/runs/4711/cancel");
    recorded(&rig);
    github.next(&json!({"to": "cancel", "status": 409}));
    let id = queued(&on);
    on.cancel(id).ok();
    github.eventually(2);
    recorded(&rig);
    let events = on.get(&format!("/api/test-runs/{id}/events")).ok();
    assert!(!events.to_string().contains("ci_cancelled"), "it was over already: {events}");
    // Somebody has it run once more.
    let again = estop_protocol::time::Timestamp(now() + 60_000).to_string();
    github.next(&json!({"to": "run", "started_at": again}));
    let id = queued(&on);
    on.cancel(id).ok();
    within(std::time::Duration::from_secs(20), "a look", || {
        (github.heard().iter().filter(|(method, path, _)| method == "GET" && path.ends_with("/4711")).count() == 3)
            .then_some(())
    });
    recorded(&rig);
    rig.tick(now() + 86_400_000);
    assert_eq!(github.written().len(), 2, "and nothing else");
}

#[test]
fn a_token_that_is_taken_back_is_replaced_with_the_next_attempt() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let project = project(&rig, &json!({"check_runs": true}));
    let (id, token) = started(&project);
    github.eventually(1);
    recorded(&rig);
    github.forget_tokens();
    project.finish(id, &token).ok();
    let failed = failure(&project);
    assert_eq!((&failed["status"], &failed["setting"]), (&json!(401), &json!("check_runs")), "{failed}");
    rig.tick(now() + 120_000);
    assert_eq!(github.written().len(), 3);
    assert_eq!((github.asked_for_tokens(), change(&project, &json!({}))["github_failures"].clone()), (2, json!([])));
}

#[test]
fn a_token_is_used_until_shortly_before_it_expires() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let project = project(&rig, &json!({"check_runs": true}));
    github.next(&json!({"to": "access_tokens", "lasts": 299}));
    for (runs, tokens) in [(1, 1), (2, 2), (3, 2)] {
        started(&project);
        github.eventually(runs);
        recorded(&rig);
        assert_eq!(github.asked_for_tokens(), tokens);
    }
}

#[test]
fn whatever_github_does_the_cancel_is_answered_at_once_and_the_admin_sees_what_it_was() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let reset = (now() / 1000 + 1800).to_string();
    let limited = json!({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset});
    for (what, status, answer, wait) in [
        (json!({"to": "installation", "status": 404}), 404, "GET /repos/acme/shop/installation: ", 60_000),
        (
            json!({"to": "installation", "status": 301, "headers": {"location": "/repos/acme/store/installation"}}),
            301,
            "GET ",
            60_000,
        ),
        (json!({"to": "access_tokens", "status": 422}), 422, "POST /app/installations/71/access_tokens: ", 60_000),
        (
            json!({"to": "check-runs", "status": 403, "headers": limited}),
            403,
            "POST /repos/acme/shop/check-runs: ",
            1_780_000,
        ),
        (json!({"to": "check-runs", "status": 429, "headers": {"retry-after": "600"}}), 429, "POST ", 600_000),
        (json!({"to": "check-runs", "status": 502}), 502, "POST /repos/acme/shop/check-runs: ", 60_000),
        (json!({"to": "check-runs", "close": true}), 0, "", 60_000),
        (json!({"to": "check-runs", "hang": true}), 0, "", 60_000),
    ] {
        let project = project(&rig, &json!({"check_runs": true}));
        github.next(&what);
        let (id, _) = started(&project);
        let (cancelled, took) = timed(|| project.cancel(id));
        assert!(cancelled.status == 200 && took.as_secs() < 2, "{what}: {took:?}");
        let failed = failure(&project);
        assert_eq!(failed["status"].as_i64().unwrap_or(0), status, "{what}: {failed}");
        assert!(failed["answer"].as_str().unwrap_or_default().starts_with(answer), "{what}: {failed}");
        let due: i64 = rig.backend.value("SELECT due_at FROM deliveries ORDER BY attempted_at DESC LIMIT 1");
        assert!((wait..wait + 30_000).contains(&(due - now() + 10_000)), "{what}: {}", due - now());
    }
    assert!(
        github.heard().iter().all(|(_, path, _)| !path.contains("store")),
        "a repository that was moved is the admin's to name"
    );
    // All of it is written in the end.
    rig.tick(now() + 3_600_000);
    rig.tick(now() + 7_200_000);
    rig.tick(now() + 10_800_000);
    recorded(&rig);
}

#[test]
fn a_worker_that_is_killed_between_the_change_and_the_sending_writes_it_all_the_same() {
    let github = GitHub::start();
    let mut rig = rig_of(&github);
    let project = project(&rig, &json!({"cancel_ci": true}));
    let id = queued(&project);
    // The cancel goes well, and nobody comes to take what is to be sent.
    rig.backend.inject_after(1, Fault::SilentBefore, u32::MAX);
    project.cancel(id).ok();
    rig.kill_and_heal();
    assert_eq!(github.written().len(), 0);
    rig.tick(now());
    rig.tick(now() + 3_600_000);
    assert_eq!(github.written().len(), 1, "once");
}

#[test]
fn a_key_may_be_in_either_form_and_one_that_is_none_is_said() {
    let github = GitHub::start();
    let script = "const { createPrivateKey } = require('node:crypto'); \
        console.log(createPrivateKey(process.argv[1]).export({ type: 'pkcs8', format: 'pem' }))";
    let shown = Command::new(process::tool("node")).args(["-e", script, "--", &github.key]).output().expect("Node.js");
    let pkcs8 = String::from_utf8(shown.stdout).expect("PEM");
    assert!(
        pkcs8.starts_with("-----BEGIN PRIVATE KEY-----") && github.key.starts_with("-----BEGIN RSA PRIVATE KEY-----")
    );
    let rig = rig_with(&github, &pkcs8);
    started(&project(&rig, &json!({"check_runs": true})));
    github.eventually(1);
    let rig = rig_with(&github, "-----BEGIN PRIVATE KEY-----\nbm9uZQ==\n-----END PRIVATE KEY-----\n");
    let project = project(&rig, &json!({"check_runs": true}));
    started(&project);
    assert_eq!(failure(&project)["answer"], "GITHUB_APP_PRIVATE_KEY is no private key of RSA in PEM.");
}

#[test]
fn a_repository_without_the_app_is_never_another_one() {
    let github = GitHub::start();
    let rig = rig_of(&github);
    let project = project(&rig, &json!({"check_runs": true, "repo_name": "acme/secret"}));
    started(&project);
    assert_eq!(failure(&project)["status"], 404);
    assert_eq!(
        github.heard().iter().map(|(_, path, _)| path.as_str()).collect::<Vec<_>>(),
        ["/repos/acme/secret/installation"]
    );
}
