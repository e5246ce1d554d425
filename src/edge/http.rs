//! Requests and responses of the runtime, to and from the core's own.

use std::cell::Cell;

use futures_util::StreamExt;
use worker::{Headers, Request, Response, ResponseBuilder, Result};

use super::d1::Usage;
use super::{log, now_ms};
use crate::api::{Reply, Route};
use crate::config::BODY_LIMIT;
use crate::error::ApiError;
use crate::time::Timestamp;

/// One request, from its arrival to its line in the log.
pub struct Call {
    /// When it came.
    pub begun: Timestamp,
    id: String,
    path: String,
    answered: Cell<bool>,
}

impl Call {
    /// A request that has just come.
    pub fn new(request: &Request) -> Self {
        // Cloudflare's own id of the request, so that our log line and theirs can be laid side by side.
        let ray = request.headers().get("cf-ray").ok().flatten();
        Self {
            begun: now_ms(),
            id: ray.unwrap_or_else(super::d1::random_id),
            path: request.path(),
            answered: Cell::new(false),
        }
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a handler has answered.
    pub fn answered(&self) -> bool {
        self.answered.get()
    }

    /// Makes the response and writes the log line.
    pub fn answer(&self, route: Option<Route>, reply: Reply, usage: Option<Usage>) -> Result<Response> {
        self.answered.set(true);
        log::request(&self.id, route, &reply, now_ms().since(self.begun), usage);
        let headers = Headers::new();
        headers.set("Content-Type", "application/json")?;
        headers.set("Cache-Control", "no-store")?;
        headers.set("X-Request-Id", &self.id)?;
        for (name, value) in &reply.headers {
            headers.set(name, value)?;
        }
        Ok(ResponseBuilder::new().with_status(reply.status).with_headers(headers).fixed(reply.body.into_bytes()))
    }
}

/// The headers that the core reads.
pub struct RequestHeaders {
    pub authorization: Option<String>,
    pub idempotency_key: Option<String>,
    pub content_type: Option<String>,
}

impl RequestHeaders {
    /// Reads them.
    pub fn read(request: &Request) -> Self {
        let get = |name| request.headers().get(name).ok().flatten();
        Self {
            authorization: get("authorization"),
            idempotency_key: get("idempotency-key"),
            content_type: get("content-type"),
        }
    }
}

/// The query string, without `?`.
pub fn query(request: &Request) -> String {
    let url = request.inner().url();
    let without_fragment = url.split('#').next().unwrap_or_default();
    without_fragment.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
}

/// Reads the body up to [`BODY_LIMIT`], and no further.
pub async fn body(request: &mut Request) -> std::result::Result<Vec<u8>, ApiError> {
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    let unreadable = |_| ApiError::Invalid("The body could not be read to its end. Send it again.".to_owned());
    let announced = request.headers().get("content-length").ok().flatten().and_then(|n| n.parse::<usize>().ok());
    match announced {
        Some(length) if length > BODY_LIMIT => Err(ApiError::BodyTooLarge),
        // The runtime holds the sender to the length that it announced.
        Some(_) => request.bytes().await.map_err(unreadable),
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
