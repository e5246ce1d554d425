//! A bucket moves from one database to another by the command line, and the Worker is killed in the middle.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::backend::Fault;
use crate::client::{ADMIN, eventually};
use crate::orders::estop;
use crate::workerd::Rig;

fn command(rig: &Rig, arguments: &str) -> Command {
    let mut command = Command::new(estop());
    command
        .arg("admin")
        .args(arguments.split(' '))
        .env("ESTOP_URL", &rig.server.url)
        .env("ESTOP_ADMIN_TOKEN", ADMIN)
        .stdin(Stdio::null());
    command
}

fn done(rig: &Rig, arguments: &str) -> (String, String) {
    let Output { status, stdout, stderr } = command(rig, arguments).output().expect("estop");
    let texts = [stdout, stderr].map(|text| String::from_utf8(text).expect("text"));
    assert!(status.success(), "{arguments}: {texts:?}");
    let [stdout, stderr] = texts;
    (stdout, stderr)
}

fn state(rig: &Rig, number: usize) -> String {
    rig.database(number).value("SELECT coalesce((SELECT state FROM buckets WHERE bucket = 'k3'), '')")
}

/// A project in bucket `k3` of `DB`, and its key.
fn project(rig: &Rig) -> String {
    rig.backend.sql(
        "INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES (7, 'p7', 'P', 'r7', 0, 'k3'); \
         INSERT INTO environments (project_id, slug, name, request_id, created_at) VALUES (7, 'staging', 'S', 'r7', 0)",
    );
    let body = json!({"project_id": 7, "user": "ada@example.com", "name": "CI", "scopes": ["read", "cancel", "run"]});
    rig.server.admin("POST", "/api/keys", Some(&body)).ok()["data"]["token"].as_str().expect("a key").to_owned()
}

#[test]
fn a_worker_that_is_killed_while_a_bucket_moves_loses_nothing() {
    // In the middle of clearing, of copying, of comparing, of removing: where one of the databases answers no more.
    for (number, well) in [(1, 1), (1, 3), (1, 5), (0, 8), (0, 12), (0, 16)] {
        let mut rig = Rig::start_with_databases(2, "");
        let key = project(&rig);
        let call = |rig: &Rig, method: &str, path: &str, body: serde_json::Value| {
            rig.server.call(&key, method, path, Some(&body))
        };
        let mut runs = Vec::new();
        for _ in 0..100 {
            let run = call(&rig, "PUT", "/api/test-runs", json!({"environment": "staging"})).ok();
            runs.push(run["data"]["test_run"]["id"].as_i64().expect("an id"));
        }
        let path = format!("/api/test-runs/{}", runs[50]);
        let lease = call(&rig, "POST", &format!("{path}/claim"), json!({})).ok()["data"]["lease"]["token"].clone();
        // All but the end of its lease, which is a whole one after the move.
        let shown = |rig: &Rig| {
            let mut shown = call(rig, "GET", &path, json!(null)).ok();
            shown["data"]["test_run"]["shards"][0]["lease"]["expires_at"].take();
            shown
        };
        let before = shown(&rig);
        rig.database(number).inject_after(well, Fault::SilentAfter, 1000);
        let mut first =
            command(&rig, "move k3 --to 1").stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("estop");
        let mut trips = 0;
        eventually("a batch without an answer", || {
            trips += rig.database(number).count().0;
            (trips > well).then_some(())
        });
        rig.kill_and_heal();
        first.kill().expect("a process");
        first.wait().expect("a process");
        let (stdout, stderr) = done(&rig, "move k3 --to 1");
        assert_eq!(stdout.trim(), "BUCKETS = \"k3=1\"", "{stderr}");
        assert!(stderr.contains("k3") && stderr.contains("make deploy"), "{stderr}");
        assert_eq!([state(&rig, 0), state(&rig, 1)], ["moved", "here"], "{number} {well}");
        let left: i64 = rig.backend.value("SELECT count(*) FROM runs");
        let there: i64 = rig.database(1).value("SELECT count(*) FROM runs");
        assert_eq!((left, there), (0, 100));
        assert_eq!(shown(&rig), before);
        assert_eq!(call(&rig, "POST", &format!("{path}/cancel"), json!({"reason": "why"})).status, 200);
        let told = call(&rig, "POST", &format!("{path}/heartbeat"), json!({"lease": lease})).ok();
        assert_eq!(told["data"]["stop"]["reason"], "why");
        let next = call(&rig, "PUT", "/api/test-runs", json!({"environment": "staging"})).ok();
        assert_eq!(next["data"]["test_run"]["id"], 1_i64 << 44);
    }
}

#[test]
fn a_move_is_called_off_and_a_range_moves_and_is_listed() {
    let rig = Rig::start_with_databases(3, "");
    let key = project(&rig);
    rig.database(1).inject_after(3, Fault::ErrorBefore("D1_ERROR: D1 DB is overloaded."), 1000);
    let mut first = command(&rig, "move k3 --to 1").stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("estop");
    eventually("a move that is under way", || (state(&rig, 0) == "leaving").then_some(()));
    first.kill().expect("a process");
    first.wait().expect("a process");
    rig.more[0].heal();
    let (listed, _) = done(&rig, "buckets");
    assert!(listed.contains("moving: k3 from database 0 to 1"), "{listed}");
    let (_, said) = done(&rig, "move k3 --abort");
    assert!(said.contains("k3 is in database 0, and no move is under way"), "{said}");
    let body = json!({"environment": "staging"});
    assert_eq!(rig.server.call(&key, "PUT", "/api/test-runs", Some(&body)).status, 200);
    let (setting, _) = done(&rig, "move k2-k4 --to 2");
    assert_eq!(setting.trim(), "BUCKETS = \"k2-k4=2\"");
    let (listed, _) = done(&rig, "buckets");
    assert!(listed.contains("database 2: 1 project; k2-k4\n"), "{listed}");
    let refused = command(&rig, "move k3 --to 1").output().expect("estop");
    let why = String::from_utf8(refused.stderr).expect("text");
    assert!(!refused.status.success() && why.contains("greater number"), "{why}");
}
