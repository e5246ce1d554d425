//! Response bodies. Those of the list, of one run and of its events the database writes itself, as these types have them:
//! the Worker passes them on, and clients and tests read them by these types.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::concurrency::Concurrency;
use crate::run::{Cause, ErrorCode, RunResult, State, StopOutcome};
use crate::time::Timestamp;
use crate::wire::requests::{Build, Counts};

/// The envelope of every answer but the contract's own: `{"data": …}`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// Says that the run is cancelled.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CancelTestRunResponse<'a> {
    /// Says that the run is cancelled.
    pub message: &'a str,
}

/// Says why the run could not be changed. Claim and finish answer with it too.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CancelTestRunFailureResponse<'a> {
    /// Says why the run could not be cancelled.
    pub message: &'a str,
}

/// An error, in the contract's shape.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ErrorResponse<'a> {
    /// Null in every error.
    #[cfg_attr(not(target_arch = "wasm32"), schema(schema_with = null))]
    pub data: (),
    /// What went wrong.
    pub error: ErrorDetail<'a>,
}

/// The schema of a field that is always null.
#[cfg(not(target_arch = "wasm32"))]
fn null() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Null))
        .description(Some("Null in every error."))
        .build()
        .into()
}

/// What went wrong.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ErrorDetail<'a> {
    /// What went wrong, for a person.
    pub message: &'a str,
}

/// A test run: everything known of it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct TestRun {
    /// The run's id.
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 1))]
    pub id: i64,
    /// Where it is in its life.
    pub state: State,
    /// How it ended, once `state` is `ended`.
    pub result: Option<RunResult>,
    /// How it broke, once `state` is `error`.
    pub error_code: Option<ErrorCode>,
    /// What it runs against.
    pub environment: Environment,
    /// The branch under test.
    pub test_run_branch: Option<String>,
    /// What is under test.
    pub build: Option<Build>,
    /// Names and values of the caller's own.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Who set off the CI job, by GitHub's account name.
    pub github_actor: Option<String>,
    /// How many shards report.
    pub total_shards: Option<i64>,
    /// How many tests ended how.
    pub counts: Option<Counts>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Whose key registered it.
    pub created_by: String,
    /// The name of the runner that took it.
    pub runner: Option<String>,
    /// When a runner took it.
    pub started_at: Option<Timestamp>,
    /// Whose key took it.
    pub started_by: Option<String>,
    /// How long its runner is believed to live, while `state` is `started`.
    pub lease: Option<LeaseTimes>,
    /// When it ended or broke.
    pub ended_at: Option<Timestamp>,
    /// Whose key said so.
    pub ended_by: Option<String>,
    /// Who stopped it, why and when, once `state` is `cancelled`.
    pub cancel: Option<Cancel>,
    /// Whether its runner has really stopped, once `state` is `cancelled`.
    pub stop: Option<Stop>,
    /// The newer run that took its place.
    pub superseded_by: Option<i64>,
    /// Whether no newer run may take its place.
    pub protected: bool,
}

/// An environment.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Environment {
    /// Its id.
    pub id: i64,
    /// For people.
    pub name: String,
    /// For machines.
    pub slug: String,
}

/// A project.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Project {
    /// Its id.
    pub id: i64,
    /// For people.
    pub name: String,
    /// For machines.
    pub slug: String,
    /// The repository under test.
    pub repo_name: Option<String>,
    /// Its concurrency limit.
    pub concurrency: Concurrency,
}

/// The times of a lease that is held.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct LeaseTimes {
    /// The claim, or the last heartbeat that renewed.
    pub renewed_at: Timestamp,
    /// Until when the runner is believed to live without another word.
    pub expires_at: Timestamp,
}

/// Who stopped a run, why and when.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Cancel {
    /// What the caller said, or what the system says.
    pub reason: Option<String>,
    /// What brought it about.
    pub cause: Cause,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Whether the runner of a cancelled run has really stopped.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Stop {
    /// Whether, and how.
    pub outcome: StopOutcome,
    /// When the runner confirmed; null as long as it has not.
    pub confirmed_at: Option<Timestamp>,
}

/// One change of state.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RunEvent {
    /// When.
    pub at: Timestamp,
    /// The state before; null when the run was registered.
    pub from: Option<State>,
    /// The state after.
    pub to: State,
    /// `registered`, `promoted`, `claimed`, `finished`, or the cancel's cause: `user`, `stale`, `superseded`.
    pub cause: String,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// The cancel's reason, or the error's code.
    pub reason: Option<String>,
}

/// The answer to a registration.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Registered {
    /// That it worked.
    pub trigger: Trigger,
    /// The run.
    pub test_run: RegisteredRun,
}

/// That a run was registered.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Trigger {
    /// Always true.
    pub success: bool,
}

/// A run that was registered.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RegisteredRun {
    /// The run's id.
    pub id: i64,
    /// Its state now.
    pub state: State,
    /// The branch under test.
    pub test_run_branch: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// A run's id and state.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RunState {
    /// The run's id.
    pub id: i64,
    /// Its state now.
    pub state: State,
}

/// The answer to a claim.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Claimed {
    /// The run.
    pub test_run: RunState,
    /// What the runner holds now.
    pub lease: Lease,
}

/// A lease as its holder gets it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Lease {
    /// The fence: every heartbeat and the finish must carry it. Only the claim's own answer tells it.
    pub token: String,
    /// Until when the runner is believed to live without a heartbeat.
    pub expires_at: Timestamp,
    /// How often to send a heartbeat.
    pub heartbeat_seconds: i64,
}

/// The answer to a heartbeat.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Beat {
    /// The run's state now: `started` or `cancelled`.
    pub state: State,
    /// The lease.
    pub lease: LeaseExpiry,
    /// Null, or the order to stop.
    pub stop: Option<StopOrder>,
}

/// Until when a lease lasts.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct LeaseExpiry {
    /// Until when the runner is believed to live without a heartbeat.
    pub expires_at: Timestamp,
}

/// The order to stop, with who gave it, why and when.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StopOrder {
    /// What the caller said, or what the system says.
    pub reason: Option<String>,
    /// What brought it about.
    pub cause: Cause,
    /// The key's user, or `system:sweeper` and the like.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How long to let the tests end by themselves before killing them.
    pub grace_seconds: i64,
    /// Whether the runner was given up: another may hold the environment by now.
    pub lease_lost: bool,
}

/// The answer to a finish.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct FinishedRun {
    /// The run's id.
    pub id: i64,
    /// `ended` or `error`.
    pub state: State,
    /// How it ended.
    pub result: Option<RunResult>,
}

/// One thing under its name: `{"test_run": …}` and the like.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident { $field:ident: $type:ty }),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize, Deserialize)]
        #[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
        pub struct $name {
            /// What was asked for.
            pub $field: $type,
        }
    )+};
}
pub(super) use named;

named! {
    /// The answer to show.
    OneRun { test_run: TestRun },
    /// The answer to events.
    Events { events: Vec<RunEvent> },
    /// The answer to a finish.
    Finished { test_run: FinishedRun },
    /// Some runs.
    Items { items: Vec<TestRun> },
}

/// A list of runs.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RunList {
    /// The project and its runs.
    pub data: RunListData,
    /// Where this page lies.
    pub pagination: Pagination,
}

/// The project and its runs.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RunListData {
    /// The key's project.
    pub project: Project,
    /// The runs, newest first.
    pub test_runs: Items,
}

/// Where a page lies.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Pagination {
    /// This page, from 1.
    pub page: i64,
    /// Runs a page.
    pub per_page: i64,
    /// How many of the newest 10,000 runs of the most selective filter match; null after `before`.
    pub total: Option<i64>,
    /// How many pages that makes; null after `before`.
    pub total_pages: Option<i64>,
    /// The `before` that goes on from here, maybe to an empty page; null where nothing older can be left.
    pub next_before: Option<i64>,
}

/// Whether the service and its database are there.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Health {
    /// Always `ok`: anything else is an error.
    pub status: &'static str,
}
