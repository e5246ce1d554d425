//! What each request costs at D1, held against `tests/budget.json`, and what fits into a day of Cloudflare's free plan.
//! `make cost` prints it.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use estop::operations::OPERATIONS;
use serde_json::{Value, json};

use crate::access::{Access, arrive};
use crate::client::{Answer, Project, Server, eventually, unique};
use crate::line::Line;
use crate::month;
use crate::observed::{line, line_of, line_with_id};
use crate::receiver::{Answer as Reply, Receiver};

/// Rows read and rows written, as D1 counts them: a row of an index is one too, and so is a trigger's.
type Rows = (u64, u64);

fn rows(line: &Value) -> Rows {
    let count =
        |name: &str| line["d1"][name].as_u64().or(line["d1"][name].as_f64().map(|n| n as u64)).expect("a count");
    (count("rows_read"), count("rows_written"))
}

/// Cloudflare D1's free plan, rows a day (developers.cloudflare.com/d1/platform/pricing).
const FREE_READ: u64 = 5_000_000;
const FREE_WRITTEN: u64 = 100_000;

/// A heartbeat that renews its lease, on the server where a lease is so short that one comes soon.
fn renewal() -> Rows {
    let project = Project::on(Server::short());
    let (id, token) = project.started();
    eventually("a renewal", || {
        let cost = rows(&line_of(&project.heartbeat(id, &token), "ESTOP_TEST_SHORT_LOG"));
        (cost.1 > 0).then_some(cost)
    })
}

/// A run of which every shard has a runner.
struct Sharded {
    id: i64,
    tokens: Vec<String>,
}

impl Project {
    fn of_shards(&self, total: usize) -> Sharded {
        let body = json!({"environment": "staging", "group": "many", "total_shards": total});
        let data = self.call("PUT", "/api/test-runs", Some(&body)).ok();
        let id = data["data"]["test_run"]["id"].as_i64().expect("an id");
        let claim = |shard: usize| {
            let claimed = self.post(&format!("/api/test-runs/{id}/claim"), &json!({"shard": shard})).ok();
            claimed["data"]["lease"]["token"].as_str().expect("a token").to_owned()
        };
        Sharded { id, tokens: (1..=total).map(claim).collect() }
    }
}

fn measured() -> BTreeMap<&'static str, Rows> {
    let project = Project::new();
    // A scan of an index reads the row after its last one, which is another project's if there is one.
    let neighbour = Project::new();
    neighbour.queued();
    neighbour.started();
    // The first request of a key in a day notes its use.
    project.get("/api/environments").ok();
    let register = json!({"environment": "staging", "build": {"branch": "main", "commit": "abc"}, "tags": ["e2e"]});
    let registered = project.call("PUT", "/api/test-runs", Some(&register));
    let id = registered.json()["data"]["test_run"]["id"].as_i64().expect("an id");
    let waiting = project.queued();
    let claim = project.post(&format!("/api/test-runs/{id}/claim"), &json!({}));
    let token = claim.json()["data"]["lease"]["token"].as_str().expect("a token").to_owned();
    let (done, done_token) = project.started();
    let (mut costs, mut routes) = (BTreeMap::new(), HashSet::new());
    let mut cost = |name, answer: Answer, status| {
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let line = line(&answer);
        costs.insert(name, rows(&line));
        routes.insert(line["route"].as_str().expect("a route").to_owned());
    };
    cost("register", registered, 200);
    cost("claim", claim, 200);
    cost("heartbeat, nothing to renew", project.heartbeat(id, &token), 200);
    cost("show", project.get(&format!("/api/test-runs/{id}")), 200);
    // Fifty tests that failed, which D1 counts a row each.
    let other = Project::new();
    let (failing, lease) = other.started();
    let failures: Vec<Value> = (0..50).map(|n| json!({"title": format!("test {n}"), "message": "no"})).collect();
    let said = json!({"lease": lease, "progress": {"total": 90, "done": 60, "failed": 50}, "failures": failures});
    let heartbeat = other.post(&format!("/api/test-runs/{failing}/heartbeat"), &said);
    cost("heartbeat that names 50 failed tests", heartbeat, 200);
    cost("failures, 50 of one shard", other.get(&format!("/api/test-runs/{failing}/failures")), 200);
    cost("events", project.get(&format!("/api/test-runs/{id}/events")), 200);
    cost("list of three runs", project.get("/api/test-runs"), 200);
    cost("cancel of a queued run", project.cancel(waiting), 200);
    cost("cancel of a started run", project.cancel(id), 200);
    cost("cancel of a run that is over", project.cancel(id), 412);
    cost("analytics", project.get("/api/analytics/test-runs?days=90"), 200);
    cost("list of two cancels", project.get("/api/cancels"), 200);
    cost("kill", project.post(&format!("/api/test-runs/{id}/kill"), &json!({})), 200);
    cost("heartbeat that brings the stop order", project.heartbeat(id, &token), 200);
    cost("finish that confirms a stop", project.finish(id, &token), 412);
    cost("finish", project.finish(done, &done_token), 200);
    // However many shards a run has, the cancel writes its row, its event and an index.
    let many = project.of_shards(64);
    let lease = many.tokens.first().expect("a shard").clone();
    let group = json!({"environment": "staging", "group": "many", "total_shards": 64});
    cost("registration that joins a run", project.call("PUT", "/api/test-runs", Some(&group)), 200);
    cost("finish of one shard of 64", project.finish(many.id, &lease), 200);
    cost("cancel of a run with 63 shards running", project.cancel(many.id), 200);
    cost("finish that confirms the stop of one shard of 64", project.finish(many.id, &many.tokens[1]), 412);
    cost("show of 64 shards", project.get(&format!("/api/test-runs/{}", many.id)), 200);
    let ids = [project.queued(), project.queued(), done];
    let dry = json!({"filter": {"state": "queued"}, "dry_run": true});
    cost("bulk cancel, dry run over two runs", project.post("/api/test-runs/cancel", &dry), 200);
    cost(
        "bulk cancel of two runs and one that is over",
        project.post("/api/test-runs/cancel", &json!({"ids": ids})),
        200,
    );
    let admin = |method: &str, path: &str, body: Value| project.server.admin(method, path, Some(&body));
    let named = json!({"name": "Budget", "slug": unique()});
    let of = |what: &str| format!("/api/projects/{}/{what}", project.id);
    let limit = json!({"scope": "none", "behaviour": "queue_new"});
    let key = json!({"project_id": project.id, "user": "u", "name": "n", "scopes": ["read"]});
    cost("create project", admin("POST", "/api/projects", named.clone()), 200);
    cost("create environment", admin("POST", &of("environments"), named), 200);
    cost("set concurrency", admin("PUT", &of("concurrency"), limit), 200);
    let created = admin("POST", "/api/keys", key);
    let revoke = format!("/api/keys/{}", created.json()["data"]["key"]["id"]);
    cost("create key", created, 200);
    cost(
        "list of a project's two keys",
        project.server.admin("GET", &format!("/api/keys?project_id={}", project.id), None),
        200,
    );
    let person = |address: &str| json!({"project_id": project.id, "address": address, "scopes": ["read"]});
    let access = Access(Server::at(std::env::var("ESTOP_TEST_ACCESS").expect("a stand-in of Cloudflare Access")));
    // Addresses that no other test lets in.
    let domain = format!("@{}.example", unique());
    let (ada, grace) = (format!("ada{domain}"), format!("grace{domain}"));
    // The row after each of theirs is there, whoever else is let in.
    for name in ["", "b", "h", "zoe"] {
        let body = json!({"project_id": neighbour.id, "address": format!("{name}{domain}"), "scopes": ["read"]});
        admin("POST", "/api/people", body).ok();
    }
    cost("let a person in", admin("POST", "/api/people", person(&ada)), 200);
    cost("let a person in again", admin("POST", "/api/people", person(&ada)), 200);
    cost("let a domain in", admin("POST", "/api/people", person(&domain)), 200);
    cost("sign in with Access", arrive(&project.server, &access.token_of(&ada), ""), 303);
    cost("sign in with Access, first by a domain", arrive(&project.server, &access.token_of(&grace), ""), 303);
    cost("sign in with Access, again by a domain", arrive(&project.server, &access.token_of(&grace), ""), 303);
    let of_project = format!("?project={}", project.id);
    cost("sign in with Access to a project", arrive(&project.server, &access.token_of(&grace), &of_project), 303);
    cost("sign in with Access, not let in", arrive(&project.server, &access.token_of("eve@evil.example"), ""), 403);
    let admin_list = |path: &str| project.server.admin("GET", path, None);
    cost("list of two projects", admin_list("/api/projects?per_page=2"), 200);
    cost("list of a project's two environments", admin_list(&of("environments")), 200);
    cost("export, nothing left", project.get("/api/export?after=9007199254740991"), 200);
    cost("list of the key's two environments", project.get("/api/environments"), 200);
    let origin = [("Origin", project.server.url.as_str()), ("Content-Type", "application/json")];
    let signed_in = json!({"key": project.key}).to_string();
    cost("sign in", project.server.send("POST", "/api/session", &origin, signed_in.as_bytes()), 204);
    cost("show the session", project.get("/api/session"), 200);
    cost("sign out", project.server.send("DELETE", "/api/session", &origin, b""), 204);
    cost("change project", admin("PATCH", &format!("/api/projects/{}", project.id), json!({"badges": true})), 200);
    let github = json!({"check_runs": true, "cancel_ci": true});
    cost("turn on check runs and cancel_ci", admin("PATCH", &format!("/api/projects/{}", project.id), github), 200);
    let github = json!({"check_runs": false, "cancel_ci": false});
    cost("turn off check runs and cancel_ci", admin("PATCH", &format!("/api/projects/{}", project.id), github), 200);
    let environment = format!("/api/environments/{}", project.production);
    cost("change environment", admin("PATCH", &environment, json!({"disabled": true})), 200);
    cost("list of two admin events", admin_list("/api/admin-events?per_page=2"), 200);
    // A row for each project of the server's, of which the tests make many.
    cost("list of buckets", admin_list("/api/buckets"), 200);
    cost("move of a bucket that is there", admin("POST", "/api/buckets/zz/move", json!({"to": 0})), 200);
    cost("end of a move that is not under way", project.server.admin("DELETE", "/api/buckets/zz/move", None), 200);
    let wanted = json!({"repo_name": format!("acme/{}", project.slug), "stop_on_close": true});
    admin("PATCH", &format!("/api/projects/{}", project.id), wanted).ok();
    let body = json!({"environment": "staging", "build": {"branch": "feat/pay"}});
    project.call("PUT", "/api/test-runs", Some(&body)).ok();
    cost("merged pull request that stops a run", project.merged("feat/pay", &format!("acme/{}", project.slug)), 200);
    let badge = format!("/api/badges/projects/{}/environments/staging", project.slug);
    cost("badge", project.server.send("GET", &badge, &[], b""), 200);
    let receiver = Receiver::start(|_| Reply::status(204));
    let webhook = json!({"url": format!("{}/", receiver.url), "environment": "staging", "branch": "main"});
    cost("create webhook", admin("POST", &of("webhooks"), webhook), 200);
    let id = project.webhook(&format!("{}/", receiver.url));
    let delivered = project.delivered(id);
    let path = |what: &str| format!("/api/webhooks/{id}{what}");
    cost("list of two webhooks", admin_list(&of("webhooks")), 200);
    cost("show webhook", admin_list(&path("")), 200);
    cost("change webhook", admin("PATCH", &path(""), json!({"environment": "staging"})), 200);
    cost("change of a webhook's secret", admin("POST", &path("/rotate"), json!({})), 200);
    cost("test of a webhook", admin("POST", &path("/test"), json!({})), 200);
    cost("redelivery", admin("POST", &format!("/api/deliveries/{delivered}/redeliver"), json!({})), 200);
    eventually("all three", || (receiver.heard().len() == 3).then_some(()));
    cost("list of three deliveries", admin_list(&path("/deliveries")), 200);
    let told = project.queued();
    cost("cancel of a queued run that one webhook hears of", project.cancel(told), 200);
    eventually("the fourth", || (receiver.heard().len() == 4).then_some(()));
    cost("delete webhook", project.server.admin("DELETE", &path(""), None), 204);
    cost("revoke key", project.server.admin("DELETE", &revoke, None), 200);
    cost("health", project.server.send("GET", "/healthz", &[], b""), 200);
    // An answer that switches protocols has no id of ours; as on Cloudflare, the request brings it.
    let (watched, lease) = project.started();
    let bearer = format!("Bearer {}", project.key);
    let (run, feed) = (format!("/api/test-runs/{watched}/watch"), "/api/watch".to_owned());
    for (name, path, header) in [
        ("watch of a shard's orders", &run, ("Estop-Lease", lease.as_str())),
        ("watch of a run", &run, ("Authorization", bearer.as_str())),
        ("watch of a project", &feed, ("Authorization", bearer.as_str())),
    ] {
        let id = unique();
        assert!(Line::open(&project.server, path, &[header, ("cf-ray", &id)]).is_ok(), "{name}");
        let line = line_with_id(&id, "ESTOP_TEST_LOG");
        costs.insert(name, rows(&line));
        routes.insert(line["route"].as_str().expect("a route").to_owned());
    }
    // The document is in the Worker.
    for operation in OPERATIONS.iter().filter(|operation| operation.pattern != "/openapi.json") {
        assert!(routes.contains(&operation.name()), "{} has no budget", operation.name());
    }
    costs.insert("heartbeat that renews the lease", renewal());
    costs
}

#[test]
fn no_request_costs_more_rows_than_its_budget() {
    let budget = month::budget();
    let costs = measured();
    let mut report = format!("{:40} {:>9} {:>12}\n", "request", "rows read", "rows written");
    for (name, (read, written)) in &costs {
        writeln!(report, "{name:40} {read:>9} {written:>12}").expect("a line");
    }
    let cost = |name: &str| costs.get(name).copied().expect("measured");
    let per_day = |(read, written): Rows| (FREE_READ / read).min(FREE_WRITTEN.checked_div(written).unwrap_or(u64::MAX));
    // An hour of a run: 1,800 heartbeats at one each 2 s, of which one a minute renews a lease of 120 s.
    let (beat, renew) = (cost("heartbeat, nothing to renew"), cost("heartbeat that renews the lease"));
    let hour = (1740 * beat.0 + 60 * renew.0, 1740 * beat.1 + 60 * renew.1);
    let slow_hour = (300 * beat.0 + 60 * renew.0, 300 * beat.1 + 60 * renew.1);
    // With its line open it sends one each 30 s, and the third of them finds less than half of the lease left.
    let watched = cost("watch of a shard's orders");
    let line_hour = (80 * beat.0 + 40 * renew.0 + watched.0, 80 * beat.1 + 40 * renew.1 + watched.1);
    writeln!(
        report,
        "\nA run-hour with a heartbeat each 2 s reads {} rows and writes {}; with one each 10 s it reads {}.",
        hour.0, hour.1, slow_hour.0
    )
    .expect("a line");
    writeln!(
        report,
        "With its line to the hub open it makes 121 requests, reads {} rows and writes {}: {} run-hours in a free day, by its \
         100,000 requests {}.",
        line_hour.0,
        line_hour.1,
        per_day(line_hour),
        100_000 / 121
    )
    .expect("a line");
    writeln!(report, "In a free day fit, each alone: {} cancels of started runs, {} heartbeats, {} run-hours ({} with a heartbeat each 10 s).",
        per_day(cost("cancel of a started run")), per_day(beat), per_day(hour), per_day(slow_hour)).expect("a line");
    writeln!(report, "\nWhat that is a month, each request at its budget:\n\n{}", month::table(&budget))
        .expect("a line");
    println!("{report}");
    assert!(hour.1 <= 62 && line_hour.1 <= 62, "a run-hour writes {} rows, or {} with a line", hour.1, line_hour.1);
    assert_eq!(costs.keys().map(|k| (*k).to_owned()).collect::<Vec<_>>(), budget.keys().cloned().collect::<Vec<_>>());
    for (name, measured) in costs {
        let most = budget.get(name).copied().expect("a budget");
        assert!(
            measured.0 <= most.0 && measured.1 <= most.1,
            "{name}: {measured:?} rows, its budget is {most:?}\n{report}"
        );
    }
}
