//! What is asked of a project in its days: every operation that works in one, and every filter of the lists.

use serde_json::{Value, json};

use crate::client::ADMIN;
use crate::fixture::{self, OLD};
use crate::history::{OLDEST, PERIOD};
use crate::world::{Cost, World};

/// What was measured: a name, and each cost.
pub type Measured = Vec<(String, Vec<Cost>)>;

/// How many runs wait for a runner while the others are measured.
pub const WAITING: usize = 20;
/// The ages of two runs of the history: of four shards, with failures; and one that was cancelled and confirmed its stop. So are all
/// runs that are whole periods older.
const FAILED: i64 = 134;
const CANCELLED: i64 = 14;

/// The queries of lists of runs: none, each filter alone, some together, and a page in the middle of the history.
const LISTS: [&str; 24] = [
    "",
    "per_page=100",
    "page=5",
    "branch=main",
    "state=queued",
    "state=started",
    "state=ended",
    "state=cancelled",
    "state=ended&state=error",
    "result=failed",
    "environment=staging",
    "environment=staging&environment=production",
    "environment_ids=3",
    "environment_ids=3,4",
    "actor=renovate%5Bbot%5D",
    "tag=smoke",
    "metadata.ci=github",
    "cancelled_by=ada@example.com",
    "cause=user",
    "stop=graceful",
    "created_from=2020-01-01T00:00:00Z",
    "created_to=2030-01-01T00:00:00Z",
    "interval_in_days=30",
    "branch=main&environment=staging&result=failed",
];

pub struct Day<'a> {
    world: &'a mut World,
    measured: &'a mut Measured,
    key: String,
}

impl<'a> Day<'a> {
    pub fn new(world: &'a mut World, measured: &'a mut Measured) -> Self {
        world.connect();
        Self { world, measured, key: fixture::key(OLD).reveal().to_owned() }
    }

    /// The newest runs of the history, made as runners make them: mostly passed, some failed, some cancelled, some on four
    /// shards; and [`WAITING`] that wait.
    pub fn make_newest(&mut self, count: usize) {
        for n in 0..count {
            let shards = if n.is_multiple_of(4) { 4 } else { 1 };
            let (id, leases) = self.started(n, shards);
            if n.is_multiple_of(7) {
                self.quietly("POST", &format!("/api/test-runs/{id}/cancel"), &json!({"reason": "wrong branch"}), 200);
            }
            let result = if n.is_multiple_of(5) { "failed" } else { "passed" };
            let status = if n.is_multiple_of(7) { 412 } else { 200 };
            for lease in leases {
                let body = json!({"lease": lease, "state": "ended", "result": result,
                    "counts": {"total": 90, "success": 88, "failed": 2, "skipped": 0, "flaky": 0}});
                self.quietly("POST", &format!("/api/test-runs/{id}/finish"), &body, status);
            }
        }
        for n in 0..WAITING {
            self.quietly("PUT", "/api/test-runs", &run(n, 1), 200);
        }
    }

    /// Cancels what waits, so that every run is over.
    pub fn end(&mut self) {
        self.quietly("POST", "/api/test-runs/cancel", &json!({"filter": {"state": "queued"}}), 200);
    }

    /// Everything once. `round` differs from one to the next.
    pub fn round(&mut self, round: i64) {
        self.lives(round);
        self.bulk();
        self.reads(round);
        self.admins();
    }

    fn lives(&mut self, round: i64) {
        let n = usize::try_from(round).expect("few");
        // While the other sizes were asked, this Worker was not.
        let (id, leases) = self.started(n, 1);
        for lease in leases {
            let finish = json!({"lease": lease, "state": "ended", "result": "passed"});
            self.quietly("POST", &format!("/api/test-runs/{id}/finish"), &finish, 200);
        }
        let id = id_of(&self.ask("register", "PUT", "/api/test-runs", &run(n, 1), 200));
        let claim = json!({"runner": "runner-1"});
        let path = |what: &str| format!("/api/test-runs/{id}{what}");
        let lease = lease_of(&self.ask("claim", "POST", &path("/claim"), &claim, 200));
        self.ask("heartbeat", "POST", &path("/heartbeat"), &json!({"lease": lease}), 200);
        let failures = json!([{"title": "checkout", "message": "expected 200, was 500"}]);
        let progress =
            json!({"lease": lease, "progress": {"total": 90, "done": 60, "failed": 1}, "failures": failures});
        self.ask("heartbeat that names a failed test", "POST", &path("/heartbeat"), &progress, 200);
        let finish = json!({"lease": lease, "state": "ended", "result": "passed"});
        self.ask("finish", "POST", &path("/finish"), &finish, 200);

        let group =
            json!({"environment": "staging", "group": format!("ci-{round}-{}", self.world.runs), "total_shards": 4});
        self.quietly("PUT", "/api/test-runs", &group, 200);
        let joined = id_of(&self.ask("register, joining a group", "PUT", "/api/test-runs", &group, 200));
        self.quietly("POST", &format!("/api/test-runs/{joined}/cancel"), &json!({}), 200);

        let (id, leases) = self.started(n, 1);
        let path = |what: &str| format!("/api/test-runs/{id}{what}");
        let cancel = json!({"reason": "wrong branch"});
        self.ask("cancel (200)", "POST", &path("/cancel"), &cancel, 200);
        self.ask("cancel (412)", "POST", &path("/cancel"), &cancel, 412);
        self.ask("kill", "POST", &path("/kill"), &json!({}), 200);
        let lease = leases.first().expect("a shard");
        self.ask("heartbeat that brings the stop order", "POST", &path("/heartbeat"), &json!({"lease": lease}), 200);
        let stopped = json!({"lease": lease, "state": "ended", "result": "failed", "stop": {"outcome": "killed"}});
        self.ask("finish that confirms a stop", "POST", &path("/finish"), &stopped, 412);
        let old = self.old(CANCELLED, round);
        self.ask("cancel (412) of an old run", "POST", &format!("/api/test-runs/{old}/cancel"), &cancel, 412);
    }

    fn bulk(&mut self) {
        let body = json!({"environment": "eu", "build": {"branch": "bulk"}});
        let ids = [(); 3].map(|()| id_of(&self.quietly("PUT", "/api/test-runs", &body, 200)));
        let path = "/api/test-runs/cancel";
        let filter = json!({"branch": "bulk"});
        self.ask("bulk cancel, dry run", "POST", path, &json!({"filter": filter, "dry_run": true}), 200);
        self.ask("bulk cancel of one by its id", "POST", path, &json!({"ids": [ids[0]]}), 200);
        self.ask("bulk cancel of two by a filter", "POST", path, &json!({"filter": filter}), 200);
    }

    fn reads(&mut self, round: i64) {
        let none = Value::Null;
        for query in LISTS {
            let name = if query.is_empty() { "list".to_owned() } else { format!("list, {query}") };
            self.ask(&name, "GET", &format!("/api/test-runs?{query}"), &none, 200);
        }
        let old = self.old(FAILED, round);
        self.ask("list, id", "GET", &format!("/api/test-runs?id={old}"), &none, 200);
        let middle = self.old(FAILED, self.world.runs / PERIOD / 2);
        self.ask("list, before a run in the middle", "GET", &format!("/api/test-runs?before={middle}"), &none, 200);
        for (name, what) in [("show", ""), ("events", "/events"), ("failures", "/failures")] {
            self.ask(&format!("{name} of an old run"), "GET", &format!("/api/test-runs/{old}{what}"), &none, 200);
        }
        for (name, path) in [
            ("environments", "/api/environments"),
            ("analytics, 90 days", "/api/analytics/test-runs?days=90"),
            ("analytics, of an environment", "/api/analytics/test-runs?days=90&environment=staging"),
            ("cancels", "/api/cancels"),
            ("cancels, by a cause", "/api/cancels?cause=user"),
            ("cancels, by a person", "/api/cancels?by=ada@example.com"),
            ("cancels, in an environment", "/api/cancels?environment=staging"),
            (crate::report::EXPORT, "/api/export"),
            ("badge", "/api/badges/projects/shop-1/environments/staging"),
            ("badge of a branch", "/api/badges/projects/shop-1/environments/staging?branch=main"),
        ] {
            self.ask(name, "GET", path, &none, 200);
        }
    }

    fn admins(&mut self) {
        for (name, path) in [
            ("admin: projects", "/api/projects"),
            ("admin: keys", "/api/keys?project_id=1"),
            ("admin: events", "/api/admin-events"),
            ("admin: webhooks", "/api/projects/1/webhooks"),
            ("admin: a webhook's deliveries", "/api/webhooks/2/deliveries"),
        ] {
            let (cost, _) = self.world.ask(ADMIN, "GET", path, "", 200);
            self.note(name, cost);
        }
    }

    /// A run of the history that is `age` and some whole periods old, another one in each round, and none of the oldest.
    fn old(&self, age: i64, round: i64) -> i64 {
        // In steps that have nothing in common with how many there are, for most sizes: all over the history.
        let periods = ((self.world.runs - age - OLDEST) / PERIOD + 1).max(1);
        self.world.runs + 1 - age - PERIOD * (round * 7919 % periods)
    }

    fn started(&mut self, n: usize, shards: usize) -> (i64, Vec<String>) {
        let id = id_of(&self.quietly("PUT", "/api/test-runs", &run(n, shards), 200));
        let claim = format!("/api/test-runs/{id}/claim");
        let leases = (1..=shards)
            .map(|shard| lease_of(&self.quietly("POST", &claim, &json!({"shard": shard, "runner": "runner-1"}), 200)))
            .collect();
        (id, leases)
    }

    /// Asks without measuring.
    fn quietly(&mut self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        self.world.ask(&self.key, method, path, &text(body), status).1
    }

    fn ask(&mut self, name: &str, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let (cost, answer) = self.world.ask(&self.key, method, path, &text(body), status);
        self.note(name, cost);
        answer
    }

    fn note(&mut self, name: &str, cost: Cost) {
        match self.measured.iter_mut().find(|(known, _)| known == name) {
            Some((_, costs)) => costs.push(cost),
            None => self.measured.push((name.to_owned(), vec![cost])),
        }
    }
}

fn run(n: usize, shards: usize) -> Value {
    let branch = if n % 5 < 2 { "main".to_owned() } else { format!("feature/{}", n / 30) };
    let environment = ["staging", "production", "preview", "eu", "us"][n % 5];
    json!({"environment": environment, "total_shards": shards, "tags": ["e2e", if n.is_multiple_of(2) { "smoke" } else { "full" }],
        "build": {"branch": branch, "commit": "0123456789abcdef0123456789abcdef01234567"}, "metadata": {"ci": "github", "number": n},
        "github_actor": if n.is_multiple_of(3) { "renovate[bot]".to_owned() } else { format!("dev-{}", n % 40) }})
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

fn id_of(answer: &Value) -> i64 {
    answer["data"]["test_run"]["id"].as_i64().unwrap_or_else(|| panic!("no run: {answer}"))
}

fn lease_of(answer: &Value) -> String {
    answer["data"]["lease"]["token"].as_str().unwrap_or_else(|| panic!("no lease: {answer}")).to_owned()
}
