//! schemathesis reads a document, makes up thousands of requests, good and bad, and holds the Worker to what is written.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use estop::http::operation::Access;
use estop::operations::{OPERATIONS, bulk_cancel, cancel, claim, finish, heartbeat};

use crate::client::{ADMIN, Project};
use crate::tools::{Scratch, schemathesis, source, succeed};
use crate::workerd::Rig;

/// How many runs there are: more than there will be requests, so that most requests find one that nobody has cancelled.
const RUNS: u32 = 3000;

/// Every state, side by side; `the-lease` holds every run that was ever claimed.
fn seed(rig: &Rig, project: &Project) {
    let Project { id: project, environment, .. } = project;
    let now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
    rig.backend.sql(&format!(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {RUNS})
         SELECT {project}, {environment}, 'queued', 'seed:' || n, {now}, 'ada@example.com', {now} FROM n;
         INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, claim_request_id)
         SELECT id, 1, 'started', 'the-lease', {now}, {now} + 120000, {now}, 'ci@example.com', 'seed:' || id
           FROM runs WHERE id % 10 >= 5;
         UPDATE run_shards SET state = 'ended', result = 'failed', ended_at = {now}, finish_request_id = 'seed:' || run_id
          WHERE run_id % 20 = 9;
         UPDATE run_shards SET state = 'error', error_code = 'merge_conflict', ended_at = {now},
                finish_request_id = 'seed:' || run_id WHERE run_id % 20 = 19;
         UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = {now}, cancel_cause = 'user', cancel_by = 'eve@example.com',
                cancel_request_id = 'seed:' || id,
                stop_outcome = iif(open_shards = 0, 'never_started', 'stopping')
          WHERE id % 10 IN (0, 8);
         -- It may revoke any key but the one that it has: with that one, all that follows would be 401.
         DROP TRIGGER keys_are_revoked_for_good;
         CREATE TRIGGER its_own_key_stays AFTER UPDATE OF revoked_at ON keys WHEN NEW.id = 1 AND NEW.revoked_at IS NOT NULL
         BEGIN UPDATE keys SET revoked_at = NULL WHERE id = 1; END;
         -- Nor does an environment stay disabled: it would take no run.
         CREATE TRIGGER environments_are_open AFTER UPDATE OF disabled ON environments WHEN NEW.disabled = 1
         BEGIN UPDATE environments SET disabled = 0 WHERE id = NEW.id; END;
         -- And one webhook is not deleted, for the other routes to find.
         INSERT INTO webhooks (project_id, url, events, format, origin, created_at, request_id, request_hash)
         VALUES ({project}, 'https://example.com/', '[\"run.started\"]', 'standard', 'https://estop.example', {now}, 'seed', 'seed');
         CREATE TRIGGER one_webhook_stays BEFORE UPDATE OF deleted_at ON webhooks WHEN NEW.id = 1
         BEGIN SELECT RAISE(IGNORE); END;"
    ));
}

/// How often each route gave each status, by the Worker's own log.
fn answers(rig: &Rig) -> BTreeMap<String, BTreeMap<u64, u32>> {
    let mut answers = BTreeMap::<String, BTreeMap<u64, u32>>::new();
    for line in rig.log().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if let (Some(route), Some(status)) = (line["route"].as_str(), line["status"].as_u64()) {
            *answers.entry(route.to_owned()).or_default().entry(status).or_default() += 1;
        }
    }
    answers
}

/// Lets schemathesis loose with `cases` random requests of each kind for each operation, and checks that all of `reached`
/// came to pass at least so often and so many requests were made in all: a test of nothing but 404 would pass as well.
fn holds(document: &str, rules: &str, cases: u32, selection: &[&str], total: u32, reached: &[(String, u64, u32)]) {
    let rig = Rig::start();
    let project = rig.project();
    seed(&rig, &project);
    let before: u32 = answers(&rig).values().flat_map(BTreeMap::values).sum();
    let scratch = Scratch::new();
    let read = |name: &str| fs::read_to_string(source("tests/conformance").join(name)).expect("a file");
    let ids = |least: u32, last_digits: std::ops::RangeInclusive<u32>| {
        let ids = (least..=RUNS).filter(|id| last_digits.contains(&(id % 10))).map(|id| id.to_string());
        ids.collect::<Vec<_>>().join(",")
    };
    let config = read("schemathesis.toml")
        .replace("\"RUNS\"", &ids(1, 0..=9))
        .replace("\"WAITING\"", &ids(RUNS / 2, 1..=4))
        .replace("\"HELD\"", &ids(RUNS / 2, 5..=8))
        + &read(rules);
    fs::write(scratch.0.join("schemathesis.toml"), config).expect("a file");
    let printed = succeed(
        schemathesis()
            .args(["--config-file", "schemathesis.toml", "run", "--no-color", "--url", &rig.server.url])
            .args(["--max-examples", &cases.to_string()])
            .args(selection)
            .arg(source(document))
            .env("ESTOP_KEY", &project.key)
            .env("ESTOP_ADMIN_TOKEN", ADMIN)
            .current_dir(&scratch.0),
    );
    let answers = answers(&rig);
    let made = answers.values().flat_map(BTreeMap::values).sum::<u32>() - before;
    println!("{document} {selection:?}: {made} requests, answered with {answers:#?}\n{printed}");
    assert!(made >= total, "{made} requests");
    for (route, status, least) in reached {
        let count = answers.get(route).and_then(|statuses| statuses.get(status)).copied().unwrap_or_default();
        assert!(count >= *least, "{route} gave {status} {count} times, expected {least}");
    }
    assert!(answers.values().all(|statuses| statuses.keys().all(|status| *status < 500)), "{answers:?}");
}

#[test]
fn the_worker_keeps_the_contract() {
    let reached = [(200, 30), (400, 100), (404, 3), (412, 100)];
    let reached = reached.map(|(status, least)| (cancel::OPERATION.name(), status, least));
    holds("tests/contract/cancel.openapi.yaml", "contract.toml", 600, &[], 600, &reached);
}

#[test]
fn the_worker_keeps_its_own_document() {
    let mut reached = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.pattern != bulk_cancel::OPERATION.pattern) {
        let status = match operation.access {
            _ if operation.pattern.ends_with("/watch") => 426,
            // What is to be sent once more was delivered, or given up: nothing is, here.
            _ if operation.pattern.ends_with("/redeliver") => 404,
            _ if operation.name() == "DELETE /api/webhooks/:id" => 204,
            // Nobody but GitHub can sign.
            Access::GitHub(_) => 401,
            // Nobody signs in or out but from the service's own page.
            Access::Open(_) if operation.pattern == "/api/session" => 403,
            // It trusts no team of Cloudflare Access.
            Access::Open(_) if operation.pattern == "/session/access" => 404,
            _ => 200,
        };
        reached.push((operation.name(), status, 3));
    }
    for (operation, status) in [
        (&cancel::OPERATION, 412),
        (&claim::OPERATION, 412),
        (&finish::OPERATION, 412),
        (&finish::OPERATION, 409),
        (&heartbeat::OPERATION, 409),
    ] {
        reached.push((operation.name(), status, 3));
    }
    holds("openapi.yaml", "document.toml", 80, &["--exclude-operation-id", "cancelTestRuns"], 2000, &reached);
}

/// Apart, because it leaves the others no run to cancel.
#[test]
fn the_worker_keeps_its_own_document_in_bulk() {
    let bulk = bulk_cancel::OPERATION.name();
    holds(
        "openapi.yaml",
        "document.toml",
        100,
        &["--include-operation-id", "cancelTestRuns"],
        100,
        &[(bulk.clone(), 200, 20), (bulk, 400, 20)],
    );
}
