//! Requests and responses of the runtime, to and from the core's own.

use std::cell::RefCell;

use futures_util::StreamExt;
use wasm_bindgen::prelude::*;
use worker::Request;

use super::d1::Usage;
use super::{log, now_ms};
use crate::api::{self, Reply, Route};
use crate::config::BODY_LIMIT;
use crate::error::ApiError;
use crate::time::Timestamp;

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(js_name = headers)]
    fn read_headers(request: &web_sys::Request) -> Vec<JsValue>;
    #[wasm_bindgen(catch)]
    fn respond(status: u16, body: &str, request_id: &str, more: Vec<String>) -> Result<web_sys::Response, JsValue>;
}

/// One request, from its arrival to its answer and its line in the log.
pub struct Call {
    /// When it came.
    pub begun: Timestamp,
    /// The path, not decoded.
    pub path: String,
    /// What it brought along.
    pub headers: Headers,
    id: String,
    outcome: RefCell<Option<Outcome>>,
}

struct Outcome {
    route: Option<Route>,
    reply: Reply,
    usage: Option<Usage>,
}

/// The headers that the core and this layer read.
pub struct Headers {
    pub authorization: Option<String>,
    pub idempotency_key: Option<String>,
    pub content_type: Option<String>,
    content_length: Option<usize>,
}

impl Call {
    /// A request that has just come.
    pub fn new(request: &Request) -> Self {
        let mut values = read_headers(request.inner()).into_iter().map(|value| value.as_string());
        let mut next = || values.next().flatten();
        let headers = Headers {
            authorization: next(),
            idempotency_key: next(),
            content_type: next(),
            content_length: next().and_then(|length| length.parse().ok()),
        };
        // Cloudflare's own id of the request, so that our log line and theirs can be laid side by side.
        let id = next().unwrap_or_else(super::d1::random_id);
        Self { begun: now_ms(), path: request.path(), headers, id, outcome: RefCell::default() }
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
        log::request(&self.id, route, &reply, now_ms().since(self.begun), usage);
        let more = reply.headers.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        Ok(respond(reply.status, &reply.body, &self.id, more)?)
    }
}

/// The query string, without `?`.
pub fn query(request: &Request) -> String {
    let url = request.inner().url();
    let without_fragment = url.split('#').next().unwrap_or_default();
    without_fragment.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
}

/// Reads the body up to [`BODY_LIMIT`], and no further.
pub async fn body(request: &mut Request, headers: &Headers) -> Result<Vec<u8>, ApiError> {
    let unreadable = |_| ApiError::Invalid("The body could not be read to its end. Send it again.".to_owned());
    match headers.content_length {
        Some(length) if length > BODY_LIMIT => Err(ApiError::BodyTooLarge),
        // The runtime holds the sender to the length that it announced.
        Some(_) => request.bytes().await.map_err(unreadable),
        None if request.inner().body().is_none() => Ok(Vec::new()),
        None => {
            let mut stream = request.stream().map_err(unreadable)?;
            let mut bytes = Vec::new();
            while let Some(chunk) = stream.next().await {
                bytes.extend(chunk.map_err(unreadable)?);
                if bytes.len() > BODY_LIMIT {
                    return Err(ApiError::BodyTooLarge);
                }
            }
            Ok(bytes)
        }
    }
}
