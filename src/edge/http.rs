//! Requests and responses of the runtime, from and to the core's own.

use futures_util::TryStreamExt as _;
use wasm_bindgen::prelude::*;
use worker::{Headers, Request, Response, ResponseBuilder, Result};

use crate::http::error::ApiError;
use crate::http::reply::Reply;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

/// The request's id: Cloudflare's own, so that our log line and theirs can be laid side by side, or a random one.
pub fn request_id(headers: &Headers) -> String {
    match headers.get("cf-ray").ok().flatten() {
        Some(ray) => ray.chars().take(100).collect(),
        None => random_uuid(),
    }
}

/// The query string, without `?`, not decoded. The runtime's URL keeps a `#fragment` that a client sent.
pub fn query(request: &Request) -> String {
    let url = request.inner().url();
    let url = url.split('#').next().unwrap_or_default();
    url.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
}

/// The origin of the service by the address that was asked: all of it before the path.
pub fn origin(request: &Request) -> String {
    let url = request.inner().url();
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// A header, if it is there.
pub fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

/// Reads the body up to `most` bytes and no further.
///
/// # Errors
/// [`ApiError::BodyTooLarge`] if there is more, [`ApiError::Invalid`] if it is not sent to its end, or in a transfer
/// coding that the runtime does not decode.
pub async fn body(request: &mut Request, most: usize) -> std::result::Result<Vec<u8>, ApiError> {
    let coding = header(request, "transfer-encoding");
    if coding.as_deref().is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("chunked")) {
        return Err(ApiError::Invalid("`chunked` is the only transfer coding accepted for a body.".to_owned()));
    }
    // Chunks outrank a length (RFC 9112 section 6.3), and the runtime holds nobody to that length then.
    if let (None, Some(length)) = (coding, header(request, "content-length")) {
        return match length.parse::<usize>() {
            Ok(length) if length <= most => request.bytes().await.map_err(|_| cut_short()),
            _ => Err(ApiError::BodyTooLarge(most)),
        };
    }
    // Without a body there is no stream. HTTP/2 has bodies without a length.
    let Ok(mut stream) = request.stream() else { return Ok(Vec::new()) };
    let mut body = Vec::new();
    while let Some(chunk) = stream.try_next().await.map_err(|_| cut_short())? {
        if body.len() + chunk.len() > most {
            return Err(ApiError::BodyTooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn cut_short() -> ApiError {
    ApiError::Invalid("The body could not be read to its end. Send it again.".to_owned())
}

/// Makes the response.
///
/// # Errors
/// If the runtime refuses one of its parts.
pub fn response(reply: Reply, request_id: &str) -> Result<Response> {
    let headers = Headers::new();
    headers.set("cache-control", "no-store")?;
    headers.set("x-request-id", request_id)?;
    // A 204 or 304 has no body, not even an empty one.
    if !reply.body.is_empty() {
        headers.set("content-type", "application/json")?;
    }
    for (name, value) in &reply.headers {
        headers.set(name, value)?;
    }
    let response = ResponseBuilder::new().with_status(reply.status).with_headers(headers);
    Ok(if reply.body.is_empty() { response.empty() } else { response.fixed(reply.body.into_bytes()) })
}
