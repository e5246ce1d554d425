//! What a caller costs who may not, and what the log says of him.

use estop::buckets::Bucket;
use estop::http::operation::{Access, Method};
use estop::operations::OPERATIONS;
use serde_json::{Value, json};

use crate::client::{Answer, Project, Server};
use crate::observed::{line, line_of};

/// Every keyed operation on a run, with a body that it takes.
fn keyed(id: i64) -> Vec<(&'static str, String, Option<Value>)> {
    let requests = OPERATIONS.iter().filter_map(|operation| {
        // Without an upgrade, a WebSocket's route asks for no key.
        let Access::Key(..) = operation.access else { return None };
        if operation.pattern.ends_with("/watch") {
            return None;
        }
        let body = match (operation.method, operation.pattern) {
            (Method::Get, _) => None,
            (Method::Put, "/api/test-runs") => Some(json!({"environment": "staging"})),
            (Method::Post, "/api/test-runs/cancel") => {
                Some(json!({"filter": {"metadata": {"a": 1}, "state": "queued"}}))
            }
            _ => Some(json!({})),
        };
        Some((operation.method.name(), operation.pattern.replace(":id", &id.to_string()), body))
    });
    let more = [
        ("POST", "/api/test-runs/cancel".to_owned(), Some(json!({"ids": [id]}))),
        ("POST", "/api/test-runs/cancel".to_owned(), Some(json!({"filter": {"branch": "main"}, "dry_run": true}))),
        ("GET", "/api/test-runs?state=queued&branch=main&environment_ids=1,2&interval_in_days=3".to_owned(), None),
    ];
    requests.chain(more).collect()
}

fn rows_read(answer: &Answer) -> u64 {
    line(answer)["d1"]["rows_read"].as_u64().expect("a count")
}

#[test]
fn a_key_that_may_not_costs_four_rows_at_most() {
    let project = Project::new();
    let (id, _) = project.started();
    for _ in 0..30 {
        let body = json!({"environment": "staging", "branch": "main", "metadata": {"a": 1, "b": 2}});
        project.call("PUT", "/api/test-runs", Some(&body)).ok();
    }
    let soon = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis() + 1_000;
    let soon = estop_protocol::time::Timestamp(i64::try_from(soon).expect("milliseconds")).to_string();
    let all = ["read", "cancel", "run"];
    let (expired, _) = project.key("late", &all, Some(&soon));
    let (revoked, revoked_id) = project.key("gone", &all, None);
    project.server.admin("DELETE", &format!("/api/keys/{revoked_id}"), None).ok();
    // Each lacks what one of the others has.
    let waiting = project.queued();
    let narrow = all.map(|scope| project.key("narrow", &[scope], None).0);
    crate::client::eventually("the key's end", || {
        (project.server.call(&expired, "GET", "/api/environments", None).status == 401).then_some(())
    });
    let unknown = format!("estop_{}", "B".repeat(43));
    let by_id = ("GET", format!("/api/test-runs?id={waiting}"), None);
    for (method, path, body) in keyed(id).into_iter().chain(keyed(waiting)).chain([by_id]) {
        for key in [&unknown, &expired, &revoked] {
            let answer = project.server.call(key, method, &path, body.as_ref());
            assert_eq!(answer.status, 401, "{method} {path}");
            // One of them is the key's, to note its use if it is good.
            assert!(rows_read(&answer) <= 4, "{method} {path}: {} rows for a 401", rows_read(&answer));
        }
        let answers = narrow.iter().map(|key| project.server.call(key, method, &path, body.as_ref()));
        let refused: Vec<Answer> = answers.filter(|answer| answer.status == 403).collect();
        assert_eq!(refused.len(), 2, "{method} {path}: one of the three scopes is enough");
        for answer in refused {
            assert!(rows_read(&answer) <= 4, "{method} {path}: {} rows for a 403", rows_read(&answer));
        }
    }
    for verb in ["heartbeat", "finish"] {
        let body = json!({"lease": "a guess"});
        let body =
            if verb == "finish" { json!({"lease": "a guess", "state": "ended", "result": "passed"}) } else { body };
        let answer = project.post(&format!("/api/test-runs/{id}/{verb}"), &body);
        assert_eq!(answer.status, 409);
        // A finish looks at the shard for each thing that it could be: a result, a stop, a late result.
        let most = if verb == "finish" { 4 } else { 3 };
        assert!(rows_read(&answer) <= most, "{verb}: {} rows", rows_read(&answer));
    }
}

#[test]
fn a_typing_error_in_a_key_is_refused_without_the_database() {
    let project = Project::new();
    let mut typo = project.key.clone();
    let last = if typo.ends_with('a') { 'b' } else { 'a' };
    typo.pop();
    typo.push(last);
    let answer = project.server.call(&typo, "GET", "/api/test-runs", None);
    answer.is_error(401);
    assert_eq!(line(&answer)["d1"]["round_trips"], 0);
    assert!(Bucket::parse(&project.key[6..8]).is_some() && project.key.len() == 57, "the new format");
}

#[test]
fn the_log_names_the_key_by_its_id_and_never_by_its_text() {
    let project = Project::new();
    let (key, key_id) = project.key("noisy", &["cancel"], None);
    let id = project.queued();
    let cancel = format!("/api/test-runs/{id}/cancel");
    for (method, path, status) in [
        ("POST", cancel.as_str(), 200),
        ("POST", cancel.as_str(), 412),
        ("POST", "/api/test-runs/9007199254740991/cancel", 404),
        ("GET", "/api/test-runs", 403),
    ] {
        let answer = project.server.call(&key, method, path, None);
        assert_eq!(answer.status, status, "{answer:?}");
        let line = line(&answer);
        assert_eq!(line["key_id"], key_id, "{method} {path}: {line}");
        assert!(!line.to_string().contains(&key[8..]), "{line}");
    }
    let registered = project.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"})));
    assert!(line(&registered)["key_id"].as_i64().is_some_and(|id| id < key_id), "{registered:?}");
}

#[test]
fn a_heartbeat_that_changes_nothing_is_not_logged_unless_it_is_asked_for() {
    // This server is just as users have it; the other one logs them.
    for (server, log, logged) in
        [(Server::cut(), "ESTOP_TEST_CUT_LOG", false), (Server::plain(), "ESTOP_TEST_LOG", true)]
    {
        let project = Project::on(server);
        let (id, token) = project.started();
        let quiet = project.heartbeat(id, &token);
        assert_eq!(quiet.status, 200);
        project.cancel(id).ok();
        let told = project.heartbeat(id, &token);
        // The later one is there, so the earlier one would be.
        assert_eq!(line_of(&told, log)["outcome"], "told_to_stop");
        let text = std::fs::read_to_string(std::env::var(log).expect("a log")).expect("the log");
        let request = quiet.header("x-request-id").expect("an id");
        assert_eq!(text.contains(request), logged, "{log}");
    }
}

#[test]
fn an_address_that_is_refused_too_often_waits_a_minute_and_others_do_not() {
    let project = Project::on(Server::short());
    let stranger = Server::short();
    let knock = || stranger.call("estop_nonsense", "GET", "/api/test-runs", None);
    let blocked = (0..60).map(|_| knock()).find(|answer| answer.status != 401).expect("an end of it");
    blocked.is_error(429);
    let wait: u32 = blocked.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=61).contains(&wait));
    assert_eq!(line_of(&blocked, "ESTOP_TEST_SHORT_LOG")["d1"]["round_trips"], 0);
    assert_eq!(stranger.send("GET", "/healthz", &[], b"").status, 429);
    assert_eq!(project.get("/api/test-runs").status, 200);
}

#[test]
fn a_page_of_twenty_reads_no_more_than_250_rows_whatever_the_filters() {
    let project = Project::new();
    for n in 0..130 {
        let branch = if n % 40 == 0 { "rare" } else { "main" };
        let environment = if n % 3 == 0 { "production" } else { "staging" };
        let body = json!({
            "environment": environment, "branch": branch, "github_actor": branch, "tags": ["e2e", branch], "metadata": {"n": n % 2},
        });
        project.call("PUT", "/api/test-runs", Some(&body)).ok();
    }
    let both = format!("environment_ids={},{}", project.environment, project.production);
    let one = format!("environment_ids={}", project.production);
    let filters = [
        "",
        "branch=main",
        "branch=rare",
        "state=queued",
        "state=ended",
        "result=passed",
        "interval_in_days=3",
        &both,
        &one,
        "environment=staging",
        "environment=staging&environment=production",
        "state=queued&state=started&state=ended",
        "actor=main",
        "tag=e2e&tag=main",
        "metadata.n=1",
        "cancelled_by=ada",
        "cause=user",
        "stop=lost",
        "created_from=2026-01-01T00:00:00Z&created_to=2099-01-01T00:00:00Z",
    ];
    let three = format!("environment_ids={},{},7", project.environment, project.production);
    let mut costs = Vec::new();
    for first in filters {
        for second in filters.into_iter().filter(|second| second.split('=').next() != first.split('=').next()) {
            let query = format!("{first}&{second}");
            let answer = project.get(&format!("/api/test-runs?{}", query.trim_matches('&')));
            assert_eq!(answer.status, 200, "{query}: {answer:?}");
            costs.push((rows_read(&answer), query));
        }
    }
    for query in
        [&three, "id=1", "actor=main&tag=e2e&metadata.n=1&environment=staging&environment=production&state=queued"]
    {
        costs.push((rows_read(&project.get(&format!("/api/test-runs?{query}"))), query.to_owned()));
    }
    let ids: Vec<i64> = project.get("/api/test-runs?per_page=100").ok()["data"]["test_runs"]["items"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["id"].as_i64().expect("an id"))
        .collect();
    project.post("/api/test-runs/cancel", &json!({"ids": ids})).ok();
    let more: Vec<i64> = (0..30).map(|_| project.queued()).collect();
    project.post("/api/test-runs/cancel", &json!({"ids": more})).ok();
    for query in
        ["", "by=ada@example.com", "by=bob", "cause=stale", "environment=production", "environment=nowhere&cause=user"]
    {
        let path = format!("/api/cancels?{query}");
        costs.push((rows_read(&project.get(&path)), path));
    }
    costs.sort_unstable();
    for page in 2..=5 {
        costs.push((rows_read(&project.get(&format!("/api/test-runs?page={page}"))), format!("page={page}")));
    }
    costs.sort_unstable();
    let dearest = costs.last().expect("a list");
    println!("{} lists; the dearest reads {} rows: {}", costs.len(), dearest.0, dearest.1);
    assert!(dearest.0 <= 250, "{dearest:?}");
}
