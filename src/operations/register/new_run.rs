//! A run as it is stored: texts within their limits, structures as JSON.

use estop_protocol::limits::{ATTEMPTS, EXTRAS_BYTES, FAIL_FAST, METADATA_NAMES, NAME_CHARS, SHARDS, TAGS, URL_CHARS};
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
    pub total_shards: i64,
    pub group: Option<String>,
    pub attempt: Option<i64>,
    /// The caller's own shard.
    pub shard: Option<i64>,
    pub fail_fast: Option<i64>,
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
        let build = request.build.as_ref().map(|build| json(&build));
        let (metadata, tags) = ((!metadata.is_empty()).then(|| json(&metadata)), json(&tags));
        let length = |json: &Option<String>| json.as_ref().map_or(0, String::len);
        let bytes = length(&build) + length(&metadata) + tags.len();
        if bytes > EXTRAS_BYTES {
            let message = format!(
                "Fields `metadata`, `tags` and `build`: expected at most {EXTRAS_BYTES} bytes of JSON together."
            );
            return Err(ApiError::Invalid(message));
        }
        let total_shards = whole("total_shards", request.total_shards, 1, SHARDS)?.unwrap_or(1);
        text("group", request.group.as_deref(), NAME_CHARS)?;
        let attempt = whole("attempt", request.attempt, 1, ATTEMPTS)?;
        let shard = whole("shard", request.shard, 1, total_shards)?;
        if request.group.is_none() && attempt.or(shard).is_some() {
            let field = if attempt.is_some() { "attempt" } else { "shard" };
            return invalid(field, "expected with `group` only, whose runs it tells apart");
        }
        Ok(Self {
            environment: request.environment,
            branch: request.branch.or_else(|| request.build.as_ref().and_then(|build| build.branch.clone())),
            build,
            metadata,
            tags,
            github_actor: request.github_actor,
            total_shards,
            group: request.group,
            attempt,
            shard,
            fail_fast: whole("fail_fast", request.fail_fast, 1, FAIL_FAST)?,
            protected: request.protected.unwrap_or(false),
        })
    }
}

fn check_build(build: &Build) -> Result<(), ApiError> {
    url("build.url", build.url.as_deref())?;
    text("build.branch", build.branch.as_deref(), NAME_CHARS)?;
    text("build.commit", build.commit.as_deref(), NAME_CHARS)?;
    url("build.commit_url", build.commit_url.as_deref())?;
    text("build.version", build.version.as_deref(), NAME_CHARS)
}

/// A link that a person may follow: nothing that a browser would run.
fn url(field: &str, value: Option<&str>) -> Result<(), ApiError> {
    text(field, value, URL_CHARS)?;
    let is_web = |url: &str| ["https://", "http://"].iter().any(|scheme| starts_with_ignoring_case(url, scheme));
    match value {
        Some(value) if !is_web(value) => invalid(field, "expected a URL that begins with `https://` or `http://`"),
        _ => Ok(()),
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
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
    Ok(())
}
