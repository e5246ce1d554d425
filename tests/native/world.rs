//! A database of its own for each test, and the service's operations on it.

use std::cell::{Cell, OnceCell};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use estop::access::Team;
use estop::config::{Config, GITHUB_API};
use estop::database::{Database, Home};
use estop::http::operation::{Access, Operation};
use estop::http::reply::Reply;
use estop::http::request::{Call, GitHub, Request};
use estop::key::KeyHash;
use estop::operations::{
    self, access, admin, bulk_cancel, cancel, claim, finish, github, heartbeat, register, session,
};
use estop::run::{Event, Timeout};
use estop::runtime::{Runtime as _, Statement, Value};
use estop::sweeper;
use estop_protocol::run::{Finish, State};
use estop_protocol::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use pollster::block_on;
use rusqlite::Connection;
use serde_json::{Value as Json, json};
use sha2::Sha256;

pub use crate::sqlite::{Fault, SqliteRuntime, empty_database, signature_of};

pub const SCHEMA: &str = include_str!("../../schema.sql");
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub const MINUTE: i64 = 60_000;
pub const LEASE: i64 = 120_000;
pub const STOP_LIMIT: i64 = 300_000;
pub const ADMIN: &str = "admin-token";
pub const SESSIONS: &str = "session-secret";
/// What GitHub signs with.
const GITHUB: &str = "a secret that GitHub knows";
pub const WEBHOOKS: &str = "webhook-secret";
/// The service's own.
pub const ORIGIN: &str = "https://estop.example";
pub const KEY: &str = "estop_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A project with an environment and a key that may do everything.
pub struct World {
    pub runtime: SqliteRuntime,
    pub config: Config,
    pub now: Cell<Timestamp>,
    /// Whether every answer is held to openapi.yaml.
    pub holds_to_contract: bool,
}

/// A request, by its row of the table.
#[derive(Clone)]
pub struct Ask<'a> {
    pub operation: &'a Operation,
    pub id: String,
    pub slugs: (&'a str, &'a str),
    pub query: &'a str,
    /// Nothing, to send no `Authorization`.
    pub token: &'a str,
    pub cookie: Option<&'a str>,
    pub origin: Option<&'a str>,
    /// Of Cloudflare Access.
    pub assertion: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub bookmark: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    pub client: &'a str,
    pub wants_websocket: bool,
    pub lease: Option<&'a str>,
    pub github: GitHub<'a>,
    pub body: String,
}

impl<'a> Ask<'a> {
    pub fn new(operation: &'a Operation) -> Self {
        let (id, body) = (String::new(), String::new());
        let (idempotency_key, lease) = (None, None);
        let wants_websocket = operation.pattern.ends_with("/watch");
        Self {
            operation,
            id,
            slugs: ("one", "staging"),
            query: "",
            token: KEY,
            cookie: None,
            origin: Some(ORIGIN),
            assertion: (operation.pattern == access::OPERATION.pattern).then_some(ASSERTION.as_str()),
            if_none_match: None,
            bookmark: None,
            idempotency_key,
            client: "192.0.2.1",
            wants_websocket,
            lease,
            github: GitHub::default(),
            body,
        }
    }

    pub fn about(self, id: i64) -> Self {
        Self { id: id.to_string(), ..self }
    }

    pub fn query(self, query: &'a str) -> Self {
        Self { query, ..self }
    }

    pub fn with_key(self, token: &'a str) -> Self {
        Self { token, ..self }
    }

    /// With a cookie in place of a key.
    pub fn with_cookie(self, cookie: &'a str) -> Self {
        Self { cookie: Some(cookie), token: "", ..self }
    }

    /// Of a page of this origin; of no page without one.
    pub fn of_page(self, origin: Option<&'a str>) -> Self {
        Self { origin, ..self }
    }

    /// Of whom Access has signed in.
    pub fn vouched(self, assertion: &'a str) -> Self {
        Self { assertion: Some(assertion), ..self }
    }

    pub fn idempotent(self, key: &'a str) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    pub fn with_lease(self, lease: &'a str) -> Self {
        Self { lease: Some(lease), ..self }
    }

    pub fn from(self, client: &'a str) -> Self {
        Self { client, ..self }
    }

    pub fn body(self, body: &Json) -> Self {
        Self { body: body.to_string(), ..self }
    }
}

/// A run and its runner's token, if a runner ever held it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: i64,
    pub token: String,
}

/// The columns that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub state: String,
    pub result: Option<String>,
    pub error_code: Option<String>,
    pub cancel_reason: Option<String>,
    pub cancel_cause: Option<String>,
    pub cancel_by: Option<String>,
    pub cancelled_at: Option<i64>,
    pub stop_outcome: Option<String>,
    pub stop_closed_at: Option<i64>,
    pub lease_expires_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub superseded_by: Option<i64>,
}

impl World {
    pub fn new() -> Self {
        let db = empty_database();
        db.execute_batch(SCHEMA).expect("the schema");
        let world = Self::on(db);
        world.sql("INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (1, 'one', 'One', 'x', 1), (2, 'two', 'Two', 'y', 1)");
        world.sql("INSERT INTO environments (id, project_id, slug, name, request_id, created_at) \
                   VALUES (1, 1, 'staging', 'Staging', 'x', 1), (2, 1, 'production', 'Production', 'y', 1), (3, 2, 'elsewhere', 'Elsewhere', 'z', 1)");
        world.add_key(KEY, 1, (1, 1, 1), None, None);
        world
    }

    /// A database in which [`KEY`] may do everything in project 1 with the environments 1 and 2.
    pub fn on(db: Connection) -> Self {
        Self::over(SqliteRuntime::on(db))
    }

    pub fn over(runtime: SqliteRuntime) -> Self {
        let (mut config, complaints) = Config::read(|_| None);
        assert_eq!(complaints, Vec::<String>::new());
        config.admin_token = Some(ADMIN.to_owned());
        config.session_secret = Some(SESSIONS.to_owned());
        config.webhook_secret = Some(WEBHOOKS.to_owned());
        config.github_webhook_secret = Some(GITHUB.to_owned());
        config.github_api = Some(GITHUB_API.to_owned());
        config.access = Some(Team { issuer: "https://team.example".to_owned(), audience: "aud".to_owned() });
        let certs = json!({"keys": [{"kid": "k1", "kty": "RSA", "n": "n1", "e": "AQAB"}]});
        *runtime.certs.borrow_mut() = Some(certs.to_string());
        Self { runtime, config, now: Cell::new(NOW), holds_to_contract: true }
    }

    /// Sends a request.
    pub fn send(&self, ask: &Ask<'_>) -> Reply {
        let authorization = format!("Bearer {}", ask.token);
        let signature = signature(&ask.body);
        let github = match ask.github.event {
            None if matches!(ask.operation.access, Access::GitHub(_)) => {
                GitHub { event: Some("pull_request"), delivery: Some("d-1"), signature: Some(&signature) }
            }
            _ => ask.github,
        };
        let request = Request {
            request_id: "request-1",
            id: &ask.id,
            slugs: ask.slugs,
            query: ask.query,
            client: Some(ask.client),
            authorization: (!ask.token.is_empty()).then_some(&authorization),
            cookie: ask.cookie,
            origin: ask.origin,
            own_origin: ORIGIN,
            assertion: ask.assertion,
            if_none_match: ask.if_none_match,
            bookmark: ask.bookmark,
            idempotency_key: ask.idempotency_key,
            content_type: Some("application/json"),
            wants_websocket: ask.wants_websocket,
            github,
            lease: ask.lease,
            body: Ok(ask.body.as_bytes()),
            now: self.now.get(),
        };
        let reply = self.answer(ask.operation, &request);
        if self.holds_to_contract {
            crate::contract::check(ask.operation, &reply);
        }
        reply
    }

    pub fn answer(&self, operation: &Operation, request: &Request<'_>) -> Reply {
        let caller = OnceCell::new();
        let home = Cell::new(Home::FIRST);
        block_on(operations::answer(&Call {
            operation,
            runtime: &self.runtime,
            config: &self.config,
            request,
            caller,
            home,
        }))
    }

    pub fn add_key(
        &self,
        plain: &str,
        project: i64,
        may: (u8, u8, u8),
        expires: Option<i64>,
        revoked: Option<i64>,
    ) -> String {
        let hash = KeyHash::of(plain);
        self.runtime
            .db
            .borrow()
            .execute(
                "INSERT INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at, expires_at, revoked_at) \
                 VALUES (?1, 'ada', 'test', ?2, ?3, ?4, ?5, 1, ?6, ?7)",
                rusqlite::params![project, hash.as_str(), may.0, may.1, may.2, expires, revoked],
            )
            .expect("a key");
        plain.to_owned()
    }

    pub fn sql(&self, text: &str) {
        self.runtime.db.borrow().execute_batch(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }

    pub fn pass(&self, span: i64) {
        self.now.set(self.now.get().plus(span));
    }

    /// Does `what`, and undoes it: a world to begin with, many times over, for less than many worlds.
    pub fn undone<T>(&self, what: impl FnOnce() -> T) -> T {
        let now = self.now.get();
        self.sql("SAVEPOINT beginning");
        let done = what();
        self.sql("ROLLBACK TO beginning; RELEASE beginning");
        self.now.set(now);
        self.runtime.counted.borrow_mut().clear();
        done
    }

    /// A new run in the environment `staging`, in a state that it reached as runs do.
    pub fn run_in(&self, state: State) -> Run {
        let id = self.registered(if state == State::Pending { "pending" } else { "queued" });
        let mut run = Run { id, token: "nobody's".to_owned() };
        if !matches!(state, State::Pending | State::Queued) {
            assert!(self.apply(&mut run, Event::Claim));
        }
        assert!(match state {
            State::Pending | State::Queued | State::Started => true,
            State::Ended => self.apply(&mut run, Event::Finish(Finish::Ended)),
            State::Error => self.apply(&mut run, Event::Finish(Finish::Error)),
            State::Cancelled => self.apply(&mut run, Event::Cancel),
        });
        run
    }

    /// A run registered through the service.
    pub fn register(&self, body: &Json) -> i64 {
        let reply = self.send(&Ask::new(&register::OPERATION).body(body));
        assert_eq!(reply.status, 200, "{reply:?}");
        data(&reply)["test_run"]["id"].as_i64().expect("an id")
    }

    fn registered(&self, state: &str) -> i64 {
        let db = self.runtime.db.borrow();
        db.query_row(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
             VALUES (1, 1, ?1, 'r' || (SELECT count(*) FROM runs), ?2, 'ada', ?2) RETURNING id",
            rusqlite::params![state, self.now.get().0],
            |row| row.get(0),
        )
        .expect("a run")
    }

    /// The body of a finish.
    pub fn finish_body(token: &str, how: Finish) -> Json {
        match how {
            Finish::Ended => json!({"lease": token, "state": "ended", "result": "passed"}),
            Finish::Error => json!({"lease": token, "state": "error", "error_code": "run_failed_with_error"}),
        }
    }

    /// Its database, as what goes over all of it reaches it.
    pub fn database(&self) -> Database<'_> {
        Database { runtime: &self.runtime, config: &self.config, home: Home::FIRST }
    }

    /// Sends a request about a run.
    pub fn ask(&self, operation: &Operation, id: i64, body: &Json) -> Reply {
        self.send(&Ask::new(operation).about(id).body(body))
    }

    /// Lets `event` happen to the run through the service's own operations; says whether it took.
    pub fn apply(&self, run: &mut Run, event: Event) -> bool {
        let reply = match event {
            Event::Claim => self.ask(&claim::OPERATION, run.id, &json!({"runner": "r"})),
            Event::Heartbeat => self.ask(&heartbeat::OPERATION, run.id, &json!({"lease": run.token})),
            Event::Finish(how) => self.ask(&finish::OPERATION, run.id, &Self::finish_body(&run.token, how)),
            Event::Cancel => self.ask(&cancel::OPERATION, run.id, &json!({"reason": "why"})),
            Event::Sweep(timeout) => return self.sweep(timeout).contains(&run.id),
        };
        assert!(matches!(reply.status, 200 | 409 | 412), "{reply:?}");
        if reply.outcome == "claimed" {
            run.token = data(&reply)["lease"]["token"].as_str().expect("a token").to_owned();
        }
        reply.status == 200 && reply.outcome != "told_to_stop"
    }

    /// One statement of the sweeper, with its timeout passed for every run that it could reach.
    pub fn sweep(&self, timeout: Timeout) -> Vec<i64> {
        self.sweep_at(timeout, self.now.get().plus(LEASE), 0)
    }

    /// One statement of the sweeper at `now`, with `span` for its timeout.
    pub fn sweep_at(&self, timeout: Timeout, now: Timestamp, span: i64) -> Vec<i64> {
        let sql = sweeper::STATEMENTS[timeout as usize].1;
        let mut params = vec![Value::Integer(now.0), Value::Integer(span), Value::Integer(100), Value::Text("tick:1")];
        if timeout == Timeout::Unconfirmed {
            params.pop();
        }
        let rows = block_on(self.runtime.batch(0, &[Statement::new(sql, params)], 1)).expect("rows");
        rows.concat().iter().map(|id| id.get().parse().expect("an id")).collect()
    }

    pub fn row(&self, id: i64) -> Row {
        let db = self.runtime.db.borrow();
        // Before shards, the run itself had the lease.
        let on_shards = "SELECT r.*, s.lease_expires_at FROM runs r LEFT JOIN run_shards s ON s.run_id = r.id AND s.shard = 1 WHERE r.id = ?1";
        let mut select = db
            .prepare_cached(on_shards)
            .or_else(|_| db.prepare_cached("SELECT * FROM runs WHERE id = ?1"))
            .expect("SQL");
        let row = select.query_row([id], |row| {
            Ok(Row {
                state: row.get("state")?,
                result: row.get("result")?,
                error_code: row.get("error_code")?,
                cancel_reason: row.get("cancel_reason")?,
                cancel_cause: row.get("cancel_cause")?,
                cancel_by: row.get("cancel_by")?,
                cancelled_at: row.get("cancelled_at")?,
                stop_outcome: row.get("stop_outcome")?,
                stop_closed_at: row.get("stop_closed_at")?,
                lease_expires_at: row.get("lease_expires_at")?,
                ended_at: row.get("ended_at")?,
                superseded_by: row.get("superseded_by")?,
            })
        });
        row.expect("the run")
    }

    /// The states that a run went through, by its events.
    pub fn history(&self, id: i64) -> Vec<String> {
        let db = self.runtime.db.borrow();
        let mut statement = db
            .prepare_cached("SELECT to_state FROM run_events WHERE run_id = ?1 AND step <= 4 ORDER BY step")
            .expect("SQL");
        statement.query_map([id], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
    }

    /// How many events say that a run is over.
    pub fn terminal_events(&self, id: i64) -> usize {
        let over: Vec<&str> = State::ALL.iter().copied().filter(|s| s.is_over()).map(State::name).collect();
        self.history(id).iter().filter(|state| over.contains(&state.as_str())).count()
    }
}

/// A token of Access for this address, good for an hour, signed with `kid`.
pub fn assertion(email: &str, kid: &str, now: Timestamp) -> String {
    let now = now.0 / 1000;
    let header = json!({"alg": "RS256", "kid": kid, "typ": "JWT"});
    let claims = json!({
        "iss": "https://team.example", "aud": ["aud"], "email": email, "iat": now, "nbf": now, "exp": now + 3600, "type": "app",
    });
    let part = |json: Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(signature_of(&kid.replace('k', "n"), &signed));
    format!("{signed}.{signature}")
}

/// Of somebody whom nobody has let in yet.
static ASSERTION: LazyLock<String> = LazyLock::new(|| assertion("nobody@example.com", "k1", NOW));

/// The `data` of an answer.
pub fn data(reply: &Reply) -> Json {
    let mut json: Json = serde_json::from_str(&reply.body).expect("JSON");
    json["data"].take()
}

/// A body that the operation takes; an operation without one ignores it.
/// What GitHub signs a body with.
pub fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(GITHUB.as_bytes()).expect("a key");
    mac.update(body.as_bytes());
    format!("sha256={}", base16ct::lower::encode_string(&mac.finalize().into_bytes()))
}

/// A pull request of a branch that lies in `from`, merged into `into`, as GitHub tells of it.
pub fn merged(branch: &str, from: &str, into: &str) -> Json {
    json!({
        "action": "closed", "number": 12, "sender": {"login": "ada"}, "installation": {"id": 1},
        "pull_request": {
            "merged": true, "title": "Pay by card",
            "head": {"ref": branch, "sha": "0897", "repo": {"full_name": from, "fork": from != into}},
            "base": {"ref": "main", "repo": {"full_name": into}},
        },
    })
}

pub fn body_of(operation: &Operation, run: &Run) -> Json {
    let is = |other: &Operation| operation.name() == other.name();
    match () {
        () if is(&register::OPERATION) => json!({"environment": "staging"}),
        () if is(&heartbeat::OPERATION) => json!({"lease": run.token}),
        () if is(&finish::OPERATION) => World::finish_body(&run.token, Finish::Ended),
        () if is(&bulk_cancel::OPERATION) => json!({"ids": [run.id]}),
        () if is(&session::SIGN_IN) => json!({"key": KEY}),
        () if is(&admin::projects::LIMIT) => json!({"scope": "project", "behaviour": "queue_new"}),
        () if is(&admin::projects::CREATE) || is(&admin::environments::CREATE) => json!({"name": "N", "slug": "n"}),
        () if is(&admin::people::ADMIT) => json!({"project_id": 1, "address": "grace@example.com", "scopes": ["read"]}),
        () if is(&admin::webhooks::CREATE) => json!({"url": "https://example.com/"}),
        () if is(&admin::keys::CREATE) => json!({"project_id": 1, "user": "u", "name": "n", "scopes": ["read"]}),
        () if is(&github::OPERATION) => merged("main", "acme/shop", "acme/shop"),
        () => json!({}),
    }
}
