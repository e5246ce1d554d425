//! The service over HTTP: one request, one [`Answer`] or one [`Trouble`].

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::exit::Exit;
use crate::terminal::plain;

/// The longest answer that is read. The largest real one, a hundred runs with full metadata, is far below.
const ANSWER_LIMIT: u64 = 16 * 1024 * 1024;

/// Where the service is, and with which key it is asked.
#[derive(Clone)]
pub struct Service {
    url: String,
    bearer: String,
    agent: Agent,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    method: &'static str,
    path: String,
    body: Option<String>,
    idempotency_key: Option<String>,
}

/// An answer that says something about what was asked: 2xx, or a refusal.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` says, if it is there.
    pub retry_after: Option<Duration>,
    /// The body.
    pub text: String,
}

/// No answer, or one that says nothing about what was asked: asking again may help.
#[derive(Debug)]
pub struct Trouble {
    /// In words.
    pub what: String,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Why a command ends early, in one line, and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong and what to do next.
    pub line: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self { exit, line: line.into() }
    }
}

impl Call {
    /// A request without a body.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, idempotency_key: None }
    }

    /// With a JSON body.
    ///
    /// # Panics
    /// If `body` cannot be JSON, which every request of the protocol can.
    #[must_use]
    pub fn with_body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_string(body).expect("requests have text keys and no serializer of their own"));
        self
    }

    /// Safe to repeat: the service recognises it by a random Idempotency-Key.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.idempotency_key = Some(random_key());
        self
    }
}

/// A key that no other request has: 128 random bits.
fn random_key() -> String {
    format!("estop-cli-{:032x}", fastrand::u128(..))
}

impl Service {
    /// The service at `url`, asked with `token`; a request may take `timeout` in all.
    ///
    /// # Errors
    /// If the address or the token cannot be one.
    pub fn new(url: &str, token: &str, timeout: Duration) -> Result<Self, Failure> {
        let url = url.trim().trim_end_matches('/').to_owned();
        let known = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if known.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', ' '])) {
            let line = "ESTOP_URL is not an address. Set it to one like https://estop.example.com";
            return Err(Failure::new(Exit::Usage, line));
        }
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let line = "the key is not one: it must be printable ASCII without spaces. Copy it again";
            return Err(Failure::new(Exit::Usage, line));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            // The API never redirects; a redirect leads to somebody's login page, and a POST would arrive as a GET.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("estop-cli/", env!("CARGO_PKG_VERSION")));
        Ok(Self { url, bearer: format!("Bearer {token}"), agent: config.build().into() })
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// [`Trouble`]: no answer came, or none that says anything about what was asked.
    pub fn send(&self, call: &Call) -> Result<Answer, Trouble> {
        let trouble = |what: String| Trouble { what: plain(&what), retry_after: None };
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.url, call.path))
            .header("Authorization", &self.bearer)
            .header("Accept", "application/json");
        if let Some(key) = &call.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = match &call.body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json").body(body.clone());
                self.agent.run(request.map_err(|e| trouble(e.to_string()))?)
            }
            None if matches!(call.method, "GET" | "DELETE") => {
                self.agent.run(request.body(()).map_err(|e| trouble(e.to_string()))?)
            }
            None => self.agent.run(request.body("").map_err(|e| trouble(e.to_string()))?),
        };
        let mut answer = answer.map_err(|error| trouble(format!("no answer from {}: {error}", self.url)))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string();
        let text = text.map_err(|error| trouble(format!("half an answer from {}: {error}", self.url)))?;
        let answer = Answer { status, retry_after: retry_after.map(Duration::from_secs), text };
        match status {
            200..300 | 400..=407 | 409..=424 | 426..=428 | 430..500 => Ok(answer),
            _ => Err(Trouble {
                what: format!(
                    "{} answered {status}{}",
                    self.url,
                    answer.message().map(|m| format!(": {}", m.trim_end_matches('.'))).unwrap_or_default()
                ),
                retry_after: answer.retry_after,
            }),
        }
    }

    /// The address, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Answer {
    /// The sentence of an answer, wherever its shape has it, fit for a terminal.
    pub fn message(&self) -> Option<String> {
        let json: Value = serde_json::from_str(&self.text).ok()?;
        let message = json.get("message").or_else(|| json.get("error")?.get("message"))?.as_str()?;
        Some(plain(message))
    }

    /// What a 200 holds.
    ///
    /// # Errors
    /// The refusal with what to do next, or that the answer is not one of estop's.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if self.status != 200 {
            return Err(self.refusal());
        }
        serde_json::from_str(&self.text).map_err(|error| {
            let line = format!("the answer is not one of estop's ({error}). Check ESTOP_URL");
            Failure::new(Exit::Refused, plain(&line))
        })
    }

    /// A refusal as a failure.
    pub fn refusal(&self) -> Failure {
        let said = self.message().unwrap_or_else(|| format!("the service answered {}.", self.status));
        let next = match (self.status, self.message().is_some()) {
            (401, _) => " Set ESTOP_KEY (for set-up: ESTOP_ADMIN_TOKEN) to one that is valid.",
            (404, true) => " Check the id.",
            (_, false) => " Check ESTOP_URL.",
            _ => "",
        };
        Failure::new(Exit::Refused, format!("{said}{next}"))
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::new(Exit::Timeout, format!("{}. Check ESTOP_URL, and try again later", trouble.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Answer {
        Answer { status, retry_after: None, text: text.to_owned() }
    }

    #[test]
    fn the_sentence_is_found_in_both_shapes_and_is_harmless() {
        assert_eq!(answer(412, r#"{"message":"over\u001b[2J"}"#).message().as_deref(), Some("over\\u{1b}[2J"));
        assert_eq!(answer(401, r#"{"data":null,"error":{"message":"no"}}"#).message().as_deref(), Some("no"));
        for odd in ["", "<html>", "[]", "{}", r#"{"message":7}"#, r#"{"error":"x"}"#] {
            assert_eq!(answer(500, odd).message(), None, "{odd}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_next() {
        let refusal = answer(401, r#"{"data":null,"error":{"message":"Unknown key."}}"#).refusal();
        assert_eq!(
            (refusal.exit, refusal.line.as_str()),
            (Exit::Refused, "Unknown key. Set ESTOP_KEY (for set-up: ESTOP_ADMIN_TOKEN) to one that is valid.")
        );
        assert!(answer(404, "<html>").refusal().line.ends_with("Check ESTOP_URL."));
    }

    #[test]
    fn what_cannot_be_an_address_or_a_key_is_refused_before_it_is_used() {
        let new = |url: &str, token: &str| {
            Service::new(url, token, Duration::from_secs(1)).map(|s| s.url).map_err(|f| f.exit)
        };
        assert_eq!(new("http://127.0.0.1:8787/", "estop_x"), Ok("http://127.0.0.1:8787".to_owned()));
        for (url, token) in [
            ("", "k"),
            ("ftp://x", "k"),
            ("http://", "k"),
            ("http://x?y", "k"),
            ("http://x", ""),
            ("http://x", "a b"),
            ("http://x", "a\n"),
        ] {
            assert_eq!(new(url, token), Err(Exit::Usage), "{url} {token}");
        }
    }

    #[test]
    fn no_two_requests_share_an_idempotency_key() {
        let key = || Call::new("POST", "/x").repeatable().idempotency_key;
        assert!(key().is_some_and(|k| k.len() == 42));
        assert_ne!(key(), key());
    }
}
