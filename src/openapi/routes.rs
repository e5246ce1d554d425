//! What each route takes and answers. The functions are never called; each carries the description of one route.

use utoipa::IntoResponses;

use crate::concurrency::Concurrency;
use crate::wire::admin::{
    CreateEnvironmentRequest, CreateKeyRequest, CreateProjectRequest, KeyList, NewKey, OneEnvironment, OneKey,
    OneProject,
};
use crate::wire::answers::{
    Beat, CancelTestRunFailureResponse, CancelTestRunResponse, Claimed, Data, ErrorResponse, Events, Finished, Health,
    OneRun, Registered, RunList,
};
use crate::wire::bulk::{BulkCancelled, BulkRequest};
use crate::wire::requests::{CancelRequest, ClaimRequest, FinishRequest, HeartbeatRequest, RegisterRequest};

/// What any route that needs a key may answer.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described, never built")]
enum KeyRefusals<'a> {
    /// The request is not valid.
    #[response(status = 400)]
    Invalid(ErrorResponse<'a>),
    /// No key, or one that is unknown, expired or revoked.
    #[response(status = 401, headers(("WWW-Authenticate" = String, description = "`Bearer`")))]
    Unauthorized(ErrorResponse<'a>),
    /// The key lacks the scope; the message names it.
    #[response(status = 403)]
    Forbidden(ErrorResponse<'a>),
    /// The body is longer than 65,536 bytes.
    #[response(status = 413)]
    TooLarge(ErrorResponse<'a>),
    /// Too many requests of this key.
    #[response(status = 429, headers(("Retry-After" = u32, description = "Seconds to wait.")))]
    TooMany(ErrorResponse<'a>),
    /// The database did not answer in time.
    #[response(status = 503, headers(("Retry-After" = u32, description = "Seconds to wait.")))]
    Unavailable(ErrorResponse<'a>),
}

/// What any route that needs the admin token may answer.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described, never built")]
enum AdminRefusals<'a> {
    /// The request is not valid.
    #[response(status = 400)]
    Invalid(ErrorResponse<'a>),
    /// Not the admin token.
    #[response(status = 401, headers(("WWW-Authenticate" = String, description = "`Bearer`")))]
    Unauthorized(ErrorResponse<'a>),
    /// No such thing, or no admin token is set.
    #[response(status = 404)]
    NotFound(ErrorResponse<'a>),
    /// The body is longer than 65,536 bytes.
    #[response(status = 413)]
    TooLarge(ErrorResponse<'a>),
    /// The database did not answer in time.
    #[response(status = 503, headers(("Retry-After" = u32, description = "Seconds to wait.")))]
    Unavailable(ErrorResponse<'a>),
}

/// A function that is nothing but its description.
macro_rules! route {
    ($(#[$doc:meta])* $name:ident, $($path:tt)*) => {
        $(#[$doc])*
        #[utoipa::path($($path)*)]
        #[allow(dead_code, reason = "carries a route's description")]
        pub(super) fn $name() {}
    };
}

route! {
    /// Cancel a test run
    ///
    /// Stops a run that is not over yet and records who stopped it and, when given, why. A run that is over already is
    /// left as it is and answered with 412. Scope: `cancel`.
    cancel,
    post, path = "/api/test-runs/{id}/cancel", tag = "Test Runs", operation_id = "cancelTestRun",
    params(
        ("id" = i64, Path, description = "The run's database id.", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key on the same run gets the same 200 again.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = Option<CancelRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "The run is cancelled.", body = CancelTestRunResponse),
        (status = 404, description = "No such run, or not one this key may see.", body = ErrorResponse),
        (status = 412, description = "The run was over already.", body = CancelTestRunFailureResponse),
        KeyRefusals,
    ),
}

route! {
    /// Cancel many test runs
    ///
    /// By ids or by filter; each run is decided by the same guarded statement as one run alone, and gets one event. The
    /// choice is made once for an Idempotency-Key: a repeat chooses no other runs. Scope: `cancel`.
    bulk_cancel,
    post, path = "/api/test-runs/cancel", tag = "Test Runs", operation_id = "cancelTestRuns",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key reports the same runs.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = BulkRequest),
    responses((status = 200, description = "What was cancelled, and what was over already.", body = Data<BulkCancelled>), KeyRefusals),
}

route! {
    /// Register a test run
    ///
    /// Scope: `run`.
    register,
    put, path = "/api/test-runs", tag = "Test Runs", operation_id = "registerTestRun",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key gets the first run.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = RegisterRequest),
    responses(
        (status = 200, description = "The run is registered.", body = Data<Registered>),
        (status = 409, description = "A protected run waits for the same place (`queue_new`).", body = ErrorResponse),
        KeyRefusals,
    ),
}

route! {
    /// List test runs
    ///
    /// Newest first. A list looks at the newest 10,000 runs of its most selective filter (id, branch, one environment,
    /// result, state, in this order): `total` stops counting there and pages end there. `before` goes on from any id.
    /// Scope: `read`.
    list,
    get, path = "/api/test-runs", tag = "Test Runs", operation_id = "listTestRuns",
    params(
        ("id" = Option<i64>, Query, description = "This run only.", minimum = 1, maximum = 9007199254740991_i64),
        ("page" = Option<i64>, Query, description = "The page, from 1; not with `before`.", minimum = 1, maximum = 9007199254740991_i64),
        ("per_page" = Option<i64>, Query, description = "Runs a page; 20 unless told.", minimum = 1, maximum = 100),
        ("branch" = Option<String>, Query, description = "Runs of this branch.", min_length = 1, max_length = 255),
        ("state" = Option<crate::run::State>, Query, description = "Runs in this state."),
        ("result" = Option<crate::run::RunResult>, Query, description = "Runs with this result."),
        ("environment_ids" = Option<String>, Query, description = "Runs in these environments: up to 20 ids with commas.", pattern = "^[1-9][0-9]{0,14}(,[1-9][0-9]{0,14}){0,19}$"),
        ("interval_in_days" = Option<i64>, Query, description = "Runs of the last days.", minimum = 1, maximum = 36500),
        ("before" = Option<i64>, Query, description = "Runs with a smaller id, without counting.", minimum = 1, maximum = 9007199254740991_i64),
    ),
    responses((status = 200, description = "A page of runs.", body = RunList), KeyRefusals),
}

route! {
    /// Show a test run
    ///
    /// Scope: `read`.
    show,
    get, path = "/api/test-runs/{id}", tag = "Test Runs", operation_id = "showTestRun",
    params(("id" = i64, Path, description = "The run's database id.", minimum = 1)),
    responses(
        (status = 200, description = "Everything known of the run.", body = Data<OneRun>),
        (status = 404, description = "No such run, or not one this key may see.", body = ErrorResponse),
        KeyRefusals,
    ),
}

route! {
    /// List a test run's events
    ///
    /// One for every change of state, oldest first. Scope: `read`.
    events,
    get, path = "/api/test-runs/{id}/events", tag = "Test Runs", operation_id = "listTestRunEvents",
    params(("id" = i64, Path, description = "The run's database id.", minimum = 1)),
    responses(
        (status = 200, description = "The run's story.", body = Data<Events>),
        (status = 404, description = "No such run, or not one this key may see.", body = ErrorResponse),
        KeyRefusals,
    ),
}

route! {
    /// Claim a test run
    ///
    /// A runner takes a queued run and gets its lease. Scope: `run`.
    claim,
    post, path = "/api/test-runs/{id}/claim", tag = "Test Runs", operation_id = "claimTestRun",
    params(
        ("id" = i64, Path, description = "The run's database id.", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key gets the same lease.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = Option<ClaimRequest>),
    responses(
        (status = 200, description = "The caller is the runner now.", body = Data<Claimed>),
        (status = 404, description = "No such run, or not one this key may see.", body = ErrorResponse),
        (status = 412, description = "The run cannot be taken; with `Retry-After`: not yet, another run goes first.",
            body = CancelTestRunFailureResponse,
            headers(("Retry-After" = Option<u32>, description = "How many seconds it takes at most until it can."))),
        KeyRefusals,
    ),
}

route! {
    /// Send a heartbeat
    ///
    /// Renews the lease when less than half of it is left, and brings the order to stop once the run is cancelled. A
    /// lease that ran out is renewed as long as nothing has ended the run. Scope: `run`.
    heartbeat,
    post, path = "/api/test-runs/{id}/heartbeat", tag = "Test Runs", operation_id = "heartbeatTestRun",
    params(("id" = i64, Path, description = "The run's database id.", minimum = 1)),
    request_body(content = HeartbeatRequest),
    responses(
        (status = 200, description = "The caller holds the lease; `stop` says whether to stop.", body = Data<Beat>),
        (status = 404, description = "No such run, or not one this key may see.", body = ErrorResponse),
        (status = 409, description = "The lease is not the run's, or the run has finished.", body = ErrorResponse),
        KeyRefusals,
    ),
}

route! {
    /// Finish a test run
    ///
    /// The runner says how it ended. If the run was cancelled it stays so: the stop record is filled in and the answer is
    /// 412. Scope: `run`.
    finish,
    post, path = "/api/test-runs/{id}/finish", tag = "Test Runs", operation_id = "finishTestRun",
    params(
        ("id" = i64, Path, description = "The run's database id.", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key on the same run gets the same 200 again.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = FinishRequest),
    responses(
        (status = 200, description = "The run is over.", body = Data<Finished>),
        (status = 404, description = "No such run, or not one this key may see.", body = ErrorResponse),
        (status = 409, description = "The lease is not the run's.", body = ErrorResponse),
        (status = 412, description = "The run was over already.", body = CancelTestRunFailureResponse),
        KeyRefusals,
    ),
}

route! {
    /// Create a project
    create_project,
    post, path = "/api/projects", tag = "Set-up", operation_id = "createProject", security(("Admin" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key gets the first project.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = CreateProjectRequest),
    responses(
        (status = 200, description = "The project.", body = Data<OneProject>),
        (status = 409, description = "The slug is taken.", body = ErrorResponse),
        AdminRefusals,
    ),
}

route! {
    /// Set a project's concurrency limit
    ///
    /// For runs that are registered from now on.
    set_concurrency,
    put, path = "/api/projects/{id}/concurrency", tag = "Set-up", operation_id = "setConcurrency", security(("Admin" = [])),
    params(("id" = i64, Path, description = "The project's id.", minimum = 1)),
    request_body(content = Concurrency),
    responses((status = 200, description = "The project.", body = Data<OneProject>), AdminRefusals),
}

route! {
    /// Create an environment of a project
    create_environment,
    post, path = "/api/projects/{id}/environments", tag = "Set-up", operation_id = "createEnvironment", security(("Admin" = [])),
    params(
        ("id" = i64, Path, description = "The project's id.", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key gets the first environment.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body(content = CreateEnvironmentRequest),
    responses(
        (status = 200, description = "The environment.", body = Data<OneEnvironment>),
        (status = 409, description = "The project has this slug already.", body = ErrorResponse),
        AdminRefusals,
    ),
}

route! {
    /// Create a key
    ///
    /// The answer holds the key's text, this once.
    create_key,
    post, path = "/api/keys", tag = "Set-up", operation_id = "createKey", security(("Admin" = [])),
    request_body(content = CreateKeyRequest),
    responses((status = 200, description = "The key.", body = Data<NewKey>), AdminRefusals),
}

route! {
    /// List keys
    ///
    /// Newest first, without their texts.
    list_keys,
    get, path = "/api/keys", tag = "Set-up", operation_id = "listKeys", security(("Admin" = [])),
    params(
        ("project_id" = Option<i64>, Query, description = "Keys of this project only.", minimum = 1, maximum = 9007199254740991_i64),
        ("before" = Option<i64>, Query, description = "Keys with a smaller id.", minimum = 1, maximum = 9007199254740991_i64),
        ("per_page" = Option<i64>, Query, description = "Keys a page; 50 unless told.", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of keys.", body = KeyList), AdminRefusals),
}

route! {
    /// Revoke a key
    ///
    /// It opens nothing from the next request on. Revoking it again changes nothing.
    revoke_key,
    delete, path = "/api/keys/{id}", tag = "Set-up", operation_id = "revokeKey", security(("Admin" = [])),
    params(("id" = i64, Path, description = "The key's id.", minimum = 1)),
    responses((status = 200, description = "The key.", body = Data<OneKey>), AdminRefusals),
}

route! {
    /// This document
    openapi,
    get, path = "/openapi.json", tag = "Service", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
}

route! {
    /// Whether the service and its database are there
    health,
    get, path = "/healthz", tag = "Service", operation_id = "health", security(()),
    responses(
        (status = 200, description = "Both are.", body = Data<Health>),
        (status = 503, description = "The database did not answer in time.", body = ErrorResponse,
            headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ),
}
