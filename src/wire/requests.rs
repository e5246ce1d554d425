//! Request bodies of the routes of runs. `checked` turns what was sent into what may be stored, or says what is wrong with it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::run::{ErrorCode, Finish, RunResult, Stopped};
use crate::wire::check::{invalid, json, slug, text};
use crate::wire::whole::{self, Whole};

/// The longest reason, in characters.
pub const REASON_LIMIT: usize = 1024;

/// The most metadata of one run, in bytes of JSON: a page of the list holds a hundred of them.
pub const METADATA_LIMIT: usize = 8 * 1024;

/// Why a run is cancelled.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schema(as = CancelTestRunRequest))]
pub struct CancelRequest {
    /// Why the run is stopped. Kept for the audit trail. No control characters but tab and newline; white space alone is
    /// no reason.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = String, required = false, max_length = 1024, pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"))]
    reason: Option<String>,
}

/// `Some`, but unlike serde's own `Option` not for `null`.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl CancelRequest {
    /// The reason, if one was given: white space alone is none.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is too long or holds control characters other than tab and newline.
    pub fn checked(self) -> Result<Option<String>, ApiError> {
        Self::checked_reason(self.reason)
    }

    /// A reason, wherever it was given.
    ///
    /// # Errors
    /// As [`Self::checked`].
    pub fn checked_reason(reason: Option<String>) -> Result<Option<String>, ApiError> {
        let Some(reason) = reason else { return Ok(None) };
        if reason.trim().is_empty() {
            return Ok(None);
        }
        if reason.chars().count() > REASON_LIMIT {
            return invalid("reason", &format!("expected at most {REASON_LIMIT} characters"));
        }
        if reason.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
            return invalid("reason", "expected no control characters other than tab and newline");
        }
        Ok(Some(reason))
    }
}

/// A run to be registered.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schema(as = RegisterTestRunRequest))]
pub struct RegisterRequest {
    /// The slug of the environment that it runs against.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", examples("staging"))
    )]
    environment: String,
    /// What is under test. Not together with `branch`.
    build: Option<Build>,
    /// The branch under test, if that is all there is to say. Not together with `build`.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    branch: Option<String>,
    /// Names and values of the caller's own: at most 50, each a string or a number.
    #[cfg_attr(not(target_arch = "wasm32"), schema(schema_with = metadata))]
    metadata: Option<Map<String, Value>>,
    /// At most 50 words that say what kind of run it is.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_items = 50))]
    tags: Option<Vec<String>>,
    /// Who set off the CI job, by GitHub's account name.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    github_actor: Option<String>,
    /// How many shards will report.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<i64>, minimum = 1, maximum = 10000))]
    total_shards: Option<Whole>,
    /// Never cancel this run because a newer one takes its place (concurrency limits).
    protected: Option<bool>,
}

#[cfg(not(target_arch = "wasm32"))]
fn metadata() -> utoipa::openapi::Schema {
    let what = "Names and values of the caller's own, at most 8192 bytes in all.";
    metadata_schema(what, 50, Some(255), Some(1024))
}

/// The schema of an optional object with so many names at most, each with a string or a number.
#[cfg(not(target_arch = "wasm32"))]
pub fn metadata_schema(
    description: &str,
    names: usize,
    longest_name: Option<usize>,
    longest: Option<usize>,
) -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
    let name = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(longest_name.map(|_| 1))
        .max_length(longest_name);
    let value =
        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Number])).max_length(longest);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(description))
        .max_properties(Some(names))
        .property_names(Some(name.build()))
        .additional_properties(Some(Schema::from(value)))
        .build()
        .into()
}

/// What is under test.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Build {
    /// Where the build under test is served, or the CI job that built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 2048))]
    pub url: Option<String>,
    /// Its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub branch: Option<String>,
    /// Its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub commit: Option<String>,
    /// A page that shows the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 2048))]
    pub commit_url: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub version: Option<String>,
}

/// A run as it will be stored: texts within their limits, structures as JSON.
#[derive(Debug)]
pub struct NewRun {
    /// The environment's slug.
    pub environment: String,
    /// The branch under test.
    pub branch: Option<String>,
    /// [`Build`] as JSON.
    pub build: Option<String>,
    /// An object as JSON.
    pub metadata: Option<String>,
    /// An array as JSON.
    pub tags: String,
    /// A GitHub account.
    pub github_actor: Option<String>,
    /// From 1.
    pub total_shards: Option<i64>,
    /// Whether it is never superseded.
    pub protected: bool,
}

impl RegisterRequest {
    /// The run as it will be stored.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn checked(self) -> Result<NewRun, ApiError> {
        slug("environment", &self.environment)?;
        text("branch", self.branch.as_deref(), 255)?;
        text("github_actor", self.github_actor.as_deref(), 255)?;
        if self.branch.is_some() && self.build.is_some() {
            return invalid(
                "branch",
                "expected either `branch` or `build`, not both; give the branch as `build.branch`",
            );
        }
        if let Some(build) = &self.build {
            text("build.url", build.url.as_deref(), 2048)?;
            text("build.branch", build.branch.as_deref(), 255)?;
            text("build.commit", build.commit.as_deref(), 255)?;
            text("build.commit_url", build.commit_url.as_deref(), 2048)?;
            text("build.version", build.version.as_deref(), 255)?;
        }
        let metadata = self.metadata.unwrap_or_default();
        if metadata.len() > 50 {
            return invalid("metadata", "expected at most 50 names");
        }
        for (name, value) in &metadata {
            text("metadata", Some(name), 255)?;
            match value {
                Value::String(value) if value.chars().count() <= 1024 => {}
                Value::Number(_) => {}
                _ => {
                    return invalid(
                        &format!("metadata.{name}"),
                        "expected a string of at most 1024 characters or a number",
                    );
                }
            }
        }
        if json(&metadata).len() > METADATA_LIMIT {
            return invalid("metadata", &format!("expected at most {METADATA_LIMIT} bytes in all"));
        }
        let tags = self.tags.unwrap_or_default();
        if tags.len() > 50 {
            return invalid("tags", "expected at most 50");
        }
        for tag in &tags {
            text("tags", Some(tag), 255)?;
        }
        if self.total_shards.is_some_and(|Whole(n)| !(1..=10_000).contains(&n)) {
            return invalid("total_shards", "expected a whole number from 1 to 10000");
        }
        Ok(NewRun {
            environment: self.environment,
            branch: self.branch.or_else(|| self.build.as_ref().and_then(|b| b.branch.clone())),
            build: self.build.map(|b| json(&b)),
            metadata: (!metadata.is_empty()).then(|| json(&metadata)),
            tags: json(&tags),
            github_actor: self.github_actor,
            total_shards: self.total_shards.map(|Whole(n)| n),
            protected: self.protected.unwrap_or(false),
        })
    }
}

/// Who takes a run.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schema(as = ClaimTestRunRequest))]
pub struct ClaimRequest {
    /// The runner's name, for the record: a host name, a CI job.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    runner: Option<String>,
}

impl ClaimRequest {
    /// The runner's name, if one was given.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is too long or holds control characters.
    pub fn checked(self) -> Result<Option<String>, ApiError> {
        text("runner", self.runner.as_deref(), 255)?;
        Ok(self.runner)
    }
}

/// A runner's sign of life.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schema(as = HeartbeatRequest))]
pub struct HeartbeatRequest {
    /// The lease token that the claim gave.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    lease: String,
}

impl HeartbeatRequest {
    /// The lease token.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it cannot be one.
    pub fn checked(self) -> Result<String, ApiError> {
        text("lease", Some(&self.lease), 255)?;
        Ok(self.lease)
    }
}

/// How a run finished.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schema(as = FinishTestRunRequest))]
pub struct FinishRequest {
    /// The lease token that the claim gave.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    lease: String,
    /// `ended` goes with `result`, `error` with `error_code`.
    state: Finish,
    /// Needed with `ended`.
    result: Option<RunResult>,
    /// Needed with `error`.
    error_code: Option<ErrorCode>,
    /// How many tests ended how.
    counts: Option<Counts>,
    /// How the runner stopped, if it was told to. Without it a cancelled run's runner is taken to have stopped by itself.
    stop: Option<StopReport>,
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Counts {
    /// All of them.
    #[serde(default, deserialize_with = "whole::count")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = i64, minimum = 0, maximum = 4294967295_i64))]
    pub total: u32,
    /// Passed.
    #[serde(default, deserialize_with = "whole::count")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = i64, minimum = 0, maximum = 4294967295_i64))]
    pub success: u32,
    /// Failed.
    #[serde(default, deserialize_with = "whole::count")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = i64, minimum = 0, maximum = 4294967295_i64))]
    pub failed: u32,
    /// Not run.
    #[serde(default, deserialize_with = "whole::count")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = i64, minimum = 0, maximum = 4294967295_i64))]
    pub skipped: u32,
    /// Passed, but not at the first try.
    #[serde(default, deserialize_with = "whole::count")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = i64, minimum = 0, maximum = 4294967295_i64))]
    pub flaky: u32,
}

/// The runner's word that it stopped.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StopReport {
    /// How.
    pub outcome: Stopped,
}

/// A finish as it will be stored.
#[derive(Debug)]
pub struct Finished {
    /// The fence.
    pub lease: String,
    /// The state to reach.
    pub state: Finish,
    /// With [`Finish::Ended`].
    pub result: Option<RunResult>,
    /// With [`Finish::Error`].
    pub error_code: Option<ErrorCode>,
    /// [`Counts`] as JSON.
    pub counts: Option<String>,
    /// What to write into the stop record if the run was cancelled.
    pub stopped: Stopped,
}

impl FinishRequest {
    /// The finish as it will be stored.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn checked(self) -> Result<Finished, ApiError> {
        text("lease", Some(&self.lease), 255)?;
        match (self.state, self.result, self.error_code) {
            (Finish::Ended, None, _) => return invalid("result", "expected `passed` or `failed` with state `ended`"),
            (Finish::Ended, _, Some(_)) => return invalid("error_code", "expected only with state `error`"),
            (Finish::Error, _, None) => return invalid("error_code", "expected with state `error`"),
            (Finish::Error, Some(_), _) => return invalid("result", "expected only with state `ended`"),
            _ => {}
        }
        Ok(Finished {
            lease: self.lease,
            state: self.state,
            result: self.result,
            error_code: self.error_code,
            counts: self.counts.map(|c| json(&c)),
            stopped: self.stop.map_or(Stopped::Graceful, |s| s.outcome),
        })
    }
}
