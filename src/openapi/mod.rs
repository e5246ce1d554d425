//! The OpenAPI document, from the types of [`crate::wire`]. Native only: the Worker serves the finished file, which
//! `make openapi` writes and a test keeps current.

mod routes;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The document as JSON, ready to be served.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    require_what_is_always_there(&mut document);
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()).for_each(leave_out_instead_of_null);
    document
}

/// An optional parameter or body is one that may be left out. utoipa says that it may be null, which it may not.
fn leave_out_instead_of_null(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    for schema in parameters.map(|parameter| &mut parameter["schema"]) {
        if let Some(named) = schema["type"].as_array().and_then(|types| types.iter().find(|t| *t != "null")).cloned() {
            schema["type"] = named;
        }
        if let Some(named) =
            schema["oneOf"].as_array().and_then(|any| any.iter().find(|s| s["$ref"].is_string())).cloned()
        {
            *schema = json!({"$ref": named["$ref"]});
        }
    }
    let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema") else { return };
    let Some(body) = schema["oneOf"].as_array().and_then(|any| any.iter().find(|s| s["$ref"].is_string())).cloned()
    else {
        return;
    };
    *schema = json!({"$ref": body["$ref"]});
    operation["requestBody"]["required"] = json!(false);
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "estop",
        description = "The stop button for end-to-end test runs. Errors are JSON, always, also for paths (404) and methods \
            (405, with `Allow`) that are not served. A body is JSON, UTF-8, at most 65,536 bytes, an object in which no field is \
            given twice; unknown fields are ignored, unknown query parameters are not. Every answer has an `X-Request-Id`.",
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "http://127.0.0.1:8787", description = "`make dev`")),
    modifiers(&Security),
    security(("Bearer" = [])),
    tags(
        (name = "Test Runs", description = "Register, claim, heartbeat, finish, cancel, list and inspect runs."),
        (name = "Set-up", description = "Projects, environments and keys, with the admin token. Without one set the routes answer 404."),
        (name = "Service", description = "This document, and whether the service is there."),
    ),
    paths(
        routes::cancel, routes::register, routes::list, routes::show, routes::events, routes::claim, routes::heartbeat, routes::finish,
        routes::bulk_cancel,
        routes::create_project,
        routes::set_concurrency, routes::create_environment, routes::create_key, routes::list_keys, routes::revoke_key, routes::openapi, routes::health,
    ),
)]
struct Document;

struct Security;
impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = |description: &str| {
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build(),
            )
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("Bearer", bearer("A key: `estop_` and 43 characters."));
        components.add_security_scheme("Admin", bearer("The Worker's secret `ADMIN_TOKEN`."));
    }
}

/// Which of a type's fields are always there cannot be read off `Option`: an answer writes null where it has nothing.
/// So in every schema that only answers use, all fields are required.
fn require_what_is_always_there(document: &mut Value) {
    let mut sent = BTreeSet::new();
    let paths = document["paths"].clone();
    for operation in
        paths.as_object().into_iter().flat_map(|p| p.values()).filter_map(Value::as_object).flat_map(|p| p.values())
    {
        reachable(&operation["requestBody"], document, &mut sent);
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten().filter(|(name, _)| !sent.contains(*name)) {
        let names: Vec<String> =
            schema["properties"].as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default();
        if !names.is_empty() && name != "Build" {
            schema["required"] = json!(names);
        }
    }
}

/// The names of the schemas that `part` of the document refers to, directly or not.
fn reachable(part: &Value, document: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
            if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                reachable(&document["components"]["schemas"][name], document, found);
            }
            fields.values().for_each(|value| reachable(value, document, found));
        }
        Value::Array(items) => items.iter().for_each(|item| reachable(item, document, found)),
        _ => {}
    }
}
