//! Requests and responses of the runtime, to and from the core's own.

use std::cell::RefCell;

use wasm_bindgen::prelude::*;

use super::d1::Usage;
use super::{log, now_ms};
use crate::api::{self, Reply, Route};
use crate::error::ApiError;
use crate::time::Timestamp;
use crate::wire::json;

#[wasm_bindgen]
extern "C" {
    /// What src/edge/entry.js has read of a request.
    type Seen;
    #[wasm_bindgen(structural, method, getter)]
    fn text(this: &Seen) -> String;
    #[wasm_bindgen(structural, method, getter)]
    fn body(this: &Seen) -> Option<Vec<u8>>;
}

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn respond(status: u16, text: &str) -> Result<web_sys::Response, JsValue>;
}

/// One request, from its arrival to its answer and its line in the log.
pub struct Call {
    /// When it came.
    came: Timestamp,
    /// When its body had come, which may have taken its time: the database judges the key as of now.
    pub now: Timestamp,
    /// The method's own name: `worker` takes an unknown one for GET.
    pub method: String,
    /// The path, not decoded.
    pub path: String,
    /// The query string, without `?`, not decoded.
    pub query: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The body, or why it was not read.
    pub body: Result<Vec<u8>, ApiError>,
    id: String,
    outcome: RefCell<Option<Outcome>>,
}

struct Outcome {
    route: Option<Route>,
    reply: Reply,
    usage: Option<Usage>,
}

impl Call {
    /// A request that has just come.
    pub fn new(request: &worker::Request) -> Self {
        let seen: &Seen = request.inner().unchecked_ref();
        let text = seen.text();
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let mut time = || Timestamp(next().parse().unwrap_or_default());
        let (came, now) = (time(), time());
        let id = next().to_owned();
        let body = match next() {
            "long" => Err(ApiError::BodyTooLarge),
            "coded" => Err(ApiError::Invalid(
                "The `Transfer-Encoding` of a body must be `chunked` and nothing else.".to_owned(),
            )),
            "cut" => Err(ApiError::Invalid("The body could not be read to its end. Send it again.".to_owned())),
            _ => Ok(seen.body().unwrap_or_default()),
        };
        let (method, query) = (next().to_owned(), next().to_owned());
        let mut header = || Some(next()).filter(|value| *value != "\0").map(str::to_owned);
        let (authorization, idempotency_key, content_type) = (header(), header(), header());
        Self {
            came,
            now,
            method,
            path: request.path(),
            query,
            authorization,
            idempotency_key,
            content_type,
            body,
            id,
            outcome: RefCell::default(),
        }
    }

    /// Says what came of it.
    pub fn answer(&self, route: Route, reply: Reply, usage: Usage) {
        self.outcome.replace(Some(Outcome { route: Some(route), reply, usage: Some(usage) }));
    }

    /// Makes the response and writes the log line. Where nothing answered, no route takes this path or this method.
    pub fn respond(&self) -> worker::Result<web_sys::Response> {
        let Outcome { route, reply, usage } = self.outcome.take().unwrap_or_else(|| {
            let refusal = api::allowed(&self.path).map_or(ApiError::NoSuchRoute, ApiError::MethodNotAllowed);
            Outcome { route: None, reply: Reply::from(refusal), usage: None }
        });
        let line = log::request(&self.id, route, &reply, now_ms().since(self.came), usage);
        let more = if reply.headers.is_empty() { String::new() } else { json(&reply.headers) };
        Ok(respond(reply.status, &[&self.id, &line, &more, &*reply.body].join("\n"))?)
    }
}
