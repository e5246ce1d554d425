//! `PUT /api/test-runs`: register a run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::run::State;
use crate::time::Timestamp;
use crate::whole::Whole;

/// A run to be registered. Texts are one line of 1 to [`crate::limits::NAME_CHARS`] characters, unless told otherwise.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// The slug of the environment that it runs against.
    pub environment: String,
    /// What is under test. Not together with `branch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// The branch under test, where there is nothing else to say of the build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The caller's own names and values (strings or numbers), at most [`crate::limits::METADATA_NAMES`]. Metadata, tags
    /// and build together have at most [`crate::limits::EXTRAS_BYTES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// Words to find it by, at most [`crate::limits::TAGS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The GitHub account that triggered the CI job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_actor: Option<String>,
    /// How many shards the run has, 1 to [`crate::limits::SHARDS`]; 1 by default. Each is claimed and finished by itself, and
    /// the run is over when all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_shards: Option<Whole>,
    /// Join the project's run of this group, if it has one, instead of registering another: all shards of one run give the
    /// same group, environment and `total_shards`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which attempt of the CI's this is, 1 to [`crate::limits::ATTEMPTS`]; only with `group`. Once the group's run is over, a
    /// later attempt makes a new one, in which the shards that passed before count as finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Whole>,
    /// The shard that the caller is about to claim; only with `group`. Where the CI does not count attempts, this tells a job
    /// that was retried (its shard was claimed before, and the run is over) from one that comes late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Whole>,
    /// Cancel the run once so many tests have failed, over all shards: 1 to [`crate::limits::FAIL_FAST`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<Whole>,
    /// Never cancel this run because a newer one takes its place (concurrency limits).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
}

/// What is under test. URLs begin with `https://` or `http://` and have at most [`crate::limits::URL_CHARS`] characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Where the build under test is served, or the CI job that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A page that shows the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_url: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The answer to a registration.
#[derive(Debug, Serialize, Deserialize)]
pub struct Registered {
    /// That it worked.
    pub trigger: Trigger,
    /// The run.
    pub test_run: RegisteredRun,
    /// Whether the run was there before, registered by another job of its group.
    #[serde(default)]
    pub joined: bool,
}

/// That a run was registered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trigger {
    /// Always true.
    pub success: bool,
}

/// A run that was registered.
#[derive(Debug, Serialize, Deserialize)]
pub struct RegisteredRun {
    /// The run's id.
    pub id: i64,
    /// Its state now.
    pub state: State,
    /// The branch under test.
    pub test_run_branch: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// The latest attempt of its group that has a shard of it; 1 without a group.
    #[serde(default = "first")]
    pub attempt: i64,
}

fn first() -> i64 {
    1
}
