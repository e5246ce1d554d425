//! Holds every answer that a test sees to `openapi.yaml`: its status is one that the operation describes, and its body
//! is what that status is said to have.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use estop::http::operation::Operation;
use jsonschema::Validator;
use serde_json::{Value, json};

/// The document.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(estop::operations::openapi::DOCUMENT).expect("JSON"));

/// Follows a reference.
pub fn resolved<'a>(value: &'a Value, root: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

/// An operation's path as the document has it.
pub fn template(operation: &Operation) -> String {
    let segments = operation.pattern.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// What the document says of an operation's answer with this status.
fn described(operation: &Operation, status: u16) -> &'static Value {
    let path = template(operation);
    let described = &DOCUMENT["paths"][&path][operation.method.name().to_lowercase()]["responses"];
    let response = &described[status.to_string()];
    assert!(!response.is_null(), "{} answers {status}, which openapi.yaml does not describe", operation.name());
    resolved(response, &DOCUMENT)
}

/// Checks an answer's body, which is JSON, against the schema of its operation and status.
#[track_caller]
pub fn check_answer(operation: &Operation, status: u16, body: &str) {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);
    let what = format!("{} answers {status}", operation.name());
    let content = &described(operation, status)["content"];
    if matches!(status, 204 | 303 | 304) {
        assert!(body.is_empty() && content.is_null(), "{what} with {body}");
        return;
    }
    if body.starts_with("<svg ") {
        assert!(!content["image/svg+xml"].is_null(), "{what} with an image");
        return;
    }
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(what.clone()).or_insert_with(|| {
        let schema = &described(operation, status)["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{what}: openapi.yaml has no schema for it");
        let schema = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{what}: {error}"))
    });
    if let Err(error) = validator.validate(&body) {
        panic!("{what}, and openapi.yaml says otherwise: {error} at {}: {body}", error.instance_path());
    }
}

/// As [`check_answer`], for a reply of the core's own.
#[allow(dead_code, reason = "the native tests' part")]
#[track_caller]
pub fn check(operation: &Operation, reply: &estop::http::reply::Reply) {
    if reply.status == 101 {
        assert!(reply.line.is_some() && reply.body.is_empty(), "a line and no body: {reply:?}");
        return;
    }
    check_answer(operation, reply.status, &reply.body);
}

/// As [`check_answer`], for what came over HTTP. What no operation serves is 404 or 405, and described in words alone.
#[allow(dead_code, reason = "the part of the tests over HTTP")]
#[track_caller]
pub fn check_http(method: &str, path: &str, status: u16, body: &str) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if let Ok(operation) = estop::operations::find(method, path) {
        check_answer(operation, status, body);
    }
}
