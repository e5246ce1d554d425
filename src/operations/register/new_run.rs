//! A run as it is stored: texts within their limits, structures as JSON.

use estop_protocol::limits::{METADATA_BYTES, METADATA_NAMES, NAME_CHARS, SHARDS, TAGS, URL_CHARS};
use estop_protocol::register::{Build, RegisterRequest};
use serde_json::{Map, Value};

use crate::http::check::{invalid, slug, text, whole};
use crate::http::error::ApiError;
use crate::http::json;

/// The longest value in metadata, in characters.
const METADATA_VALUE_CHARS: usize = 1024;

/// A run that may be registered.
#[derive(Debug)]
pub struct NewRun {
    pub environment: String,
    pub branch: Option<String>,
    /// A [`Build`] as JSON.
    pub build: Option<String>,
    /// An object as JSON.
    pub metadata: Option<String>,
    /// An array as JSON.
    pub tags: String,
    pub github_actor: Option<String>,
    pub total_shards: Option<i64>,
    pub protected: bool,
}

impl NewRun {
    /// Checks a request.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn from_request(request: RegisterRequest) -> Result<Self, ApiError> {
        slug("environment", &request.environment)?;
        text("branch", request.branch.as_deref(), NAME_CHARS)?;
        text("github_actor", request.github_actor.as_deref(), NAME_CHARS)?;
        if request.branch.is_some() && request.build.is_some() {
            let expected = "expected either `branch` or `build`, not both; give the branch as `build.branch`";
            return invalid("branch", expected);
        }
        request.build.as_ref().map_or(Ok(()), check_build)?;
        let metadata = request.metadata.unwrap_or_default();
        check_metadata(&metadata)?;
        let tags = request.tags.unwrap_or_default();
        if tags.len() > TAGS {
            return invalid("tags", &format!("expected at most {TAGS}"));
        }
        tags.iter().try_for_each(|tag| text("tags", Some(tag), NAME_CHARS))?;
        let total_shards = whole("total_shards", request.total_shards, 1, SHARDS)?;
        Ok(Self {
            environment: request.environment,
            branch: request.branch.or_else(|| request.build.as_ref().and_then(|build| build.branch.clone())),
            build: request.build.map(|build| json(&build)),
            metadata: (!metadata.is_empty()).then(|| json(&metadata)),
            tags: json(&tags),
            github_actor: request.github_actor,
            total_shards,
            protected: request.protected.unwrap_or(false),
        })
    }
}

fn check_build(build: &Build) -> Result<(), ApiError> {
    text("build.url", build.url.as_deref(), URL_CHARS)?;
    text("build.branch", build.branch.as_deref(), NAME_CHARS)?;
    text("build.commit", build.commit.as_deref(), NAME_CHARS)?;
    text("build.commit_url", build.commit_url.as_deref(), URL_CHARS)?;
    text("build.version", build.version.as_deref(), NAME_CHARS)
}

fn check_metadata(metadata: &Map<String, Value>) -> Result<(), ApiError> {
    if metadata.len() > METADATA_NAMES {
        return invalid("metadata", &format!("expected at most {METADATA_NAMES} names"));
    }
    for (name, value) in metadata {
        text("metadata", Some(name), NAME_CHARS)?;
        let fits = match value {
            Value::String(value) => value.chars().count() <= METADATA_VALUE_CHARS,
            other => other.is_number(),
        };
        if !fits {
            let expected = format!("expected a string of at most {METADATA_VALUE_CHARS} characters or a number");
            return invalid(&format!("metadata.{name}"), &expected);
        }
    }
    if json(metadata).len() > METADATA_BYTES {
        return invalid("metadata", &format!("expected at most {METADATA_BYTES} bytes in all"));
    }
    Ok(())
}
