//! The service over HTTP: one [`Call`], one [`Response`] or [`TransportError`].

use std::fmt;
use std::time::Duration;

use estop_protocol::bookmark;
use estop_protocol::envelope::{self, ErrorResponse, Message};
use estop_protocol::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Request;

use crate::clock;
use crate::exit::Exit;
use crate::terminal::sanitize;

/// The largest response body that is read. The largest real one, a hundred runs with full metadata, is far smaller.
const RESPONSE_LIMIT: u64 = 16 * 1024 * 1024;

const USER_AGENT: &str = concat!("estop-cli/", env!("CARGO_PKG_VERSION"));

#[derive(Clone)]
pub struct Service {
    url: String,
    /// The Authorization header, if there is a key.
    bearer: Option<String>,
    agent: Agent,
}

/// A request. It can be sent several times, to retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    method: &'static str,
    path: String,
    body: Option<String>,
    idempotency_key: Option<String>,
}

/// A response that answers the request: success or refusal.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// What the service's clock showed, cut to the second.
    pub date: Option<Timestamp>,
    /// When the request was sent, by [`clock`].
    pub sent: Duration,
    /// The service's address.
    address: String,
    pub text: String,
}

/// No response, or one that says nothing about the request (5xx, 429, a redirect, …): retrying may help.
#[derive(Debug)]
pub struct TransportError {
    pub message: String,
    pub retry_after: Option<Duration>,
    /// Whether it is the service's own message, which means that ESTOP_URL is right.
    pub from_service: bool,
}

/// Why a command ends early: one line for people, and the exit code.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// What went wrong and what to do next.
    pub message: String,
}

impl Call {
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, idempotency_key: None }
    }

    /// With a JSON body, which must be one of the protocol's requests.
    #[must_use]
    pub fn with_body(mut self, request: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_string(request).expect("the protocol's requests always serialize"));
        self
    }

    /// Makes it safe to retry: the service recognises it by a random Idempotency-Key.
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.with_idempotency_key(&idempotency_key())
    }

    /// The same with a key that is known already, because the request may have been sent before.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }
}

/// A random Idempotency-Key.
pub fn idempotency_key() -> String {
    format!("estop-cli-{:032x}", fastrand::u128(..))
}

impl Service {
    /// `timeout` is for each request as a whole, from connecting to the last byte of the response.
    ///
    /// # Errors
    /// If the URL or the token is malformed.
    pub fn new(url: &str, token: &str, timeout: Duration) -> Result<Self, Failure> {
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let message = "the key is malformed: expected printable ASCII without spaces. Copy it again";
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(Self { bearer: Some(format!("Bearer {token}")), ..Self::without_key(url, timeout)? })
    }

    /// For requests that carry a lease, which is all that the service asks for.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn without_key(url: &str, timeout: Duration) -> Result<Self, Failure> {
        let url = url.trim().trim_end_matches('/').to_owned();
        let address = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if address.is_none_or(|address| address.is_empty() || address.contains(['?', '#', ' '])) {
            let message = "ESTOP_URL is not a valid URL. Set it to one like https://estop.example.com";
            return Err(Failure::new(Exit::Usage, message));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            // The API never redirects. A redirect leads to some login page, where a POST would arrive as a GET.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT);
        Ok(Self { url, bearer: None, agent: config.build().into() })
    }

    pub fn address(&self) -> &str {
        &self.url
    }

    /// The Authorization header, if there is a key.
    pub fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    pub fn user_agent(&self) -> &'static str {
        USER_AGENT
    }

    /// How connections are made, for one that is not a request's.
    pub fn connection_config(&self) -> &Config {
        self.agent.config()
    }

    /// Sends a request once.
    pub fn send(&self, call: &Call) -> Result<Response, TransportError> {
        let sent = clock::now();
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.url, call.path))
            .header("Accept", "application/json")
            // Whoever looks right after a write wants to see it, in whichever process that was.
            .header(bookmark::HEADER, bookmark::LATEST);
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", bearer);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let response = match &call.body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json").body(body);
                self.agent.run(request.map_err(TransportError::local)?)
            }
            None => self.agent.run(request.body(()).map_err(TransportError::local)?),
        };
        let mut response =
            response.map_err(|error| TransportError::local(format!("no response from {}: {error}", self.url)))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let date = header("date").and_then(Timestamp::parse_http_date);
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(RESPONSE_LIMIT).read_to_string();
        let text =
            text.map_err(|error| TransportError::local(format!("incomplete response from {}: {error}", self.url)))?;
        let response = Response { status, retry_after, date, sent, address: self.url.clone(), text };
        match response.status {
            // 408, 425 and 429 ask to try again; 507, a full database, is none that passes.
            200..300 | 400..=407 | 409..=424 | 426..=428 | 430..500 | 507 => Ok(response),
            status => {
                let message = response.error();
                let detail = message.as_ref().map(|m| format!(": {}", m.trim_end_matches('.'))).unwrap_or_default();
                Err(TransportError {
                    message: format!("{} returned {status}{detail}", self.url),
                    retry_after: response.retry_after,
                    from_service: message.is_some(),
                })
            }
        }
    }
}

impl Response {
    /// The message of an answer that has one, in either of the service's two shapes, safe to print.
    pub fn message(&self) -> Option<String> {
        let message = serde_json::from_str::<Message>(&self.text).ok().map(|message| sanitize(&message.message));
        message.or_else(|| self.error())
    }

    /// The message of the service's own error, safe to print. A proxy's page and another server's JSON have none.
    pub fn error(&self) -> Option<String> {
        let error = serde_json::from_str::<ErrorResponse>(&self.text).ok()?;
        Some(sanitize(&error.error.message))
    }

    /// The body of a 200; anything else is a failure.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if self.status != 200 {
            return Err(self.refusal());
        }
        serde_json::from_str(&self.text).map_err(|error| self.not_estop(&format!("its answer is not estop's: {error}")))
    }

    /// Why the service refused, and what to do about it.
    pub fn refusal(&self) -> Failure {
        let message = if self.status == 412 { self.message() } else { self.error() };
        let hint = match (self.status, &message) {
            (_, None) => return self.not_estop(&format!("it returned {}", self.status)),
            // An id that does not exist is answered otherwise. The admin's paths are served only to a token that exists.
            (404, Some(message)) if message.starts_with(envelope::NO_SUCH_ROUTE) => {
                return self.not_estop("nothing is served there (admin commands: or its ADMIN_TOKEN is not set; webhooks: or its WEBHOOK_SECRET)");
            }
            (401, _) => " Set ESTOP_KEY (ESTOP_ADMIN_TOKEN for admin commands) to a valid one.",
            (404, _) => " Check the id.",
            _ => "",
        };
        Failure::new(Exit::Refused, format!("{}{hint}", message.unwrap_or_default()))
    }

    fn not_estop(&self, why: &str) -> Failure {
        let message = format!("{} does not look like an estop service: {why}. Check ESTOP_URL or --url", self.address);
        Failure::new(Exit::Refused, sanitize(&message))
    }
}

impl TransportError {
    /// An answer that leaves no hope in trying again.
    pub fn refused(response: &Response) -> Self {
        Self { message: response.refusal().message, retry_after: None, from_service: true }
    }

    fn local(message: impl fmt::Display) -> Self {
        Self { message: sanitize(&message.to_string()), retry_after: None, from_service: false }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let hint = if error.from_service { "Try again later" } else { "Check ESTOP_URL, or try again later" };
        Self::new(Exit::Timeout, format!("{error}. {hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Response {
        pub fn of(status: u16, text: &str) -> Self {
            let (address, text) = ("http://x/y".to_owned(), text.to_owned());
            Self { status, retry_after: None, date: None, sent: Duration::ZERO, address, text }
        }
    }

    #[test]
    fn the_message_is_found_in_both_shapes_and_is_safe_to_print() {
        assert_eq!(Response::of(412, r#"{"message":"over\u001b[2J"}"#).message().as_deref(), Some("over\\u{1b}[2J"));
        assert_eq!(Response::of(401, r#"{"data":null,"error":{"message":"no"}}"#).message().as_deref(), Some("no"));
        for odd in ["", "<html>", "[]", "{}", r#"{"message":7}"#, r#"{"error":"x"}"#] {
            assert_eq!(Response::of(500, odd).message(), None, "{odd}");
        }
        for others in [r#"{"message":"no"}"#, r#"{"error":{"message":"no"}}"#] {
            assert_eq!(Response::of(404, others).error(), None, "not an error of estop: {others}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_next() {
        let refusal = Response::of(401, r#"{"data":null,"error":{"message":"Unknown key."}}"#).refusal();
        assert_eq!(
            (refusal.exit, refusal.message.as_str()),
            (Exit::Refused, "Unknown key. Set ESTOP_KEY (ESTOP_ADMIN_TOKEN for admin commands) to a valid one.")
        );
        let error = |message: &str| format!(r#"{{"data":null,"error":{{"message":"{message}"}}}}"#);
        assert_eq!(Response::of(404, &error("No such run.")).refusal().message, "No such run. Check the id.");
        assert_eq!(Response::of(409, &error("No.")).refusal().message, "No.");
        assert_eq!(Response::of(412, r#"{"message":"Over."}"#).refusal().message, "Over.");
    }

    #[test]
    fn another_server_is_not_taken_for_estop() {
        let no_route = format!(r#"{{"data":null,"error":{{"message":"{} See elsewhere."}}}}"#, envelope::NO_SUCH_ROUTE);
        for (status, text) in [
            (404, "<html>"),
            (404, r#"{"message":"Not Found"}"#),
            (404, &no_route),
            (401, "Log in."),
            (403, ""),
            (200, "<html>"),
        ] {
            let Failure { exit, message } = match status {
                200 => Response::of(status, text).read::<Message>().expect_err("not JSON"),
                _ => Response::of(status, text).refusal(),
            };
            assert_eq!(exit, Exit::Refused);
            assert!(message.starts_with("http://x/y does not look like an estop service: "), "{message}");
            assert!(message.ends_with(". Check ESTOP_URL or --url") && !message.contains("id."), "{message}");
        }
    }

    #[test]
    fn a_url_is_questioned_only_if_the_service_did_not_respond_itself() {
        let failure = |from_service| {
            let error = TransportError { message: "http://x returned 500".to_owned(), retry_after: None, from_service };
            let Failure { exit, message } = error.into();
            (exit, message)
        };
        assert_eq!(failure(true), (Exit::Timeout, "http://x returned 500. Try again later".to_owned()));
        assert_eq!(
            failure(false),
            (Exit::Timeout, "http://x returned 500. Check ESTOP_URL, or try again later".to_owned())
        );
    }

    #[test]
    fn a_malformed_url_or_key_is_refused_before_it_is_used() {
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
        let key = || Call::new("POST", "/x").idempotent().idempotency_key;
        assert!(key().is_some_and(|k| k.len() == 42));
        assert_ne!(key(), key());
    }
}
