//! A project of its own for each test, and what one does with it over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

pub const ADMIN: &str = "local-admin";

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// The sentence of an answer, wherever its shape has it.
    pub fn message(&self) -> String {
        let json = self.json();
        let message = if json["message"].is_string() { &json["message"] } else { &json["error"]["message"] };
        message.as_str().unwrap_or_else(|| panic!("no message: {self:?}")).to_owned()
    }

    /// Checks that this is the contract's ErrorResponse with this status.
    #[track_caller]
    pub fn is_error(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert!(json["data"].is_null() && json.as_object().is_some_and(|o| o.contains_key("data")), "{self:?}");
        assert!(json["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{self:?}");
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Server {
    pub url: String,
    /// The address that it takes us for, so that what one test is refused does not count against another.
    pub client: String,
    agent: Agent,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with `make test`"))
}

impl Server {
    /// The Worker as users have it.
    pub fn plain() -> Self {
        Self::at(variable("ESTOP_TEST_URL"))
    }

    /// The Worker with short timeouts and a low rate limit (scripts/with-servers says which).
    pub fn short() -> Self {
        Self::at(variable("ESTOP_TEST_SHORT_URL"))
    }

    /// The Worker for bodies that are not read to their end (scripts/with-servers says why).
    pub fn cut() -> Self {
        Self::at(variable("ESTOP_TEST_CUT_URL"))
    }

    pub fn at(url: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_redirects(0)
            .allow_non_standard_methods(true);
        Self { url, client: unique(), agent: config.build().into() }
    }

    /// Sends anything.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends anything to a server that may be gone before it has answered.
    ///
    /// # Errors
    /// Whatever keeps a whole answer from coming.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let client = [("cf-connecting-ip", self.client.as_str())];
        for (name, value) in headers.iter().chain(&client) {
            request = request.header(*name, ureq::http::HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        let request = request.body(body).expect("a request");
        let answer = if body.is_empty() { self.agent.run(request.map(|_| ())) } else { self.agent.run(request) };
        let mut answer = answer?;
        let text = answer.body_mut().read_to_string()?;
        let answer = Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), text };
        // A HEAD has no body, and what was made for another server than ours has no content type of ours.
        if method != "HEAD" && answer.header("x-request-id").is_some() {
            crate::contract::check_http(method, path, answer.status, &answer.text);
        }
        Ok(answer)
    }

    /// Sends JSON with a bearer token.
    pub fn call(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Authorization", bearer.as_str())];
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        self.send(method, path, &headers, body.as_bytes())
    }

    pub fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call(ADMIN, method, path, body)
    }

    /// Lets the sweeper tick, through the hook that `wrangler dev --test-scheduled` offers.
    pub fn tick(&self) {
        let answer = self.send("GET", "/__scheduled?cron=*+*+*+*+*", &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// A text that no other test has.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_micros();
    format!("t{}-{now}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks `probe` until it gives something, for at most twenty seconds.
#[track_caller]
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(Duration::from_secs(20), what, probe)
}

/// Asks `probe` until it gives something, for at most so long.
#[track_caller]
pub fn within<T>(patience: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + patience;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's deadline; the service gets its clock as an argument")]
fn now() -> Instant {
    Instant::now()
}

/// A project with the environments `staging` and `production`, and a key with every scope.
pub struct Project {
    pub server: Server,
    pub id: i64,
    pub slug: String,
    pub environment: i64,
    pub production: i64,
    pub key: String,
}

impl Project {
    pub fn new() -> Self {
        Self::on(Server::plain())
    }

    pub fn on(server: Server) -> Self {
        let slug = unique();
        let body = json!({"name": "A test's own", "slug": slug, "repo_name": "acme/shop"});
        let id =
            server.admin("POST", "/api/projects", Some(&body)).ok()["data"]["project"]["id"].as_i64().expect("an id");
        let environment = |name: &str| {
            let body = json!({"name": name, "slug": name});
            let made = server.admin("POST", &format!("/api/projects/{id}/environments"), Some(&body)).ok();
            made["data"]["environment"]["id"].as_i64().expect("an id")
        };
        let (environment, production) = (environment("staging"), environment("production"));
        let key = key(&server, id, "ada@example.com", &["read", "cancel", "run"], None).0;
        Self { server, id, slug, environment, production, key }
    }

    /// Another key of this project: its text and its id.
    pub fn key(&self, user: &str, scopes: &[&str], expires_at: Option<&str>) -> (String, i64) {
        key(&self.server, self.id, user, scopes, expires_at)
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.server.call(&self.key, method, path, body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    /// Registers a run in `staging`.
    pub fn queued(&self) -> i64 {
        let answer = self.call("PUT", "/api/test-runs", Some(&json!({"environment": "staging"})));
        answer.ok()["data"]["test_run"]["id"].as_i64().expect("an id")
    }

    /// Registers and claims a run; gives its id and lease token.
    pub fn started(&self) -> (i64, String) {
        let id = self.queued();
        let claimed = self.post(&format!("/api/test-runs/{id}/claim"), &json!({"runner": "r1"})).ok();
        (id, claimed["data"]["lease"]["token"].as_str().expect("a token").to_owned())
    }

    pub fn cancel(&self, id: i64) -> Answer {
        self.post(&format!("/api/test-runs/{id}/cancel"), &json!({"reason": "wrong branch"}))
    }

    pub fn finish(&self, id: i64, token: &str) -> Answer {
        let body = json!({"lease": token, "state": "ended", "result": "passed"});
        self.post(&format!("/api/test-runs/{id}/finish"), &body)
    }

    pub fn heartbeat(&self, id: i64, token: &str) -> Answer {
        self.post(&format!("/api/test-runs/{id}/heartbeat"), &json!({"lease": token}))
    }

    pub fn show(&self, id: i64) -> Value {
        self.get(&format!("/api/test-runs/{id}")).ok()["data"]["test_run"].take()
    }

    /// The states that a run went through, by its events.
    pub fn history(&self, id: i64) -> Vec<String> {
        let events = self.get(&format!("/api/test-runs/{id}/events")).ok();
        let events = events["data"]["events"].as_array().expect("events").clone();
        let changes = events.iter().filter(|event| event["from"] != event["to"]);
        changes.map(|event| event["to"].as_str().expect("a state").to_owned()).collect()
    }
}

fn key(server: &Server, project: i64, user: &str, scopes: &[&str], expires_at: Option<&str>) -> (String, i64) {
    let mut body = json!({"project_id": project, "user": user, "name": "a test's", "scopes": scopes});
    if let Some(at) = expires_at {
        body["expires_at"] = json!(at);
    }
    let made = server.admin("POST", "/api/keys", Some(&body)).ok();
    (made["data"]["token"].as_str().expect("a key").to_owned(), made["data"]["key"]["id"].as_i64().expect("an id"))
}

/// A run id that no run has, but could have.
pub const NOBODYS: i64 = 9_007_199_254_740_991;
