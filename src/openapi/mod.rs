//! The OpenAPI document, from the types of [`crate::wire`]. Native only: the Worker serves the finished file, which
//! `make openapi` writes and a test keeps current.

mod corrections;
mod routes;

use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The document as JSON, ready to be served.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    corrections::apply(&mut document);
    document
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
