//! What a sentence tells of a run, at Slack or at GitHub.

use serde::Deserialize;

/// The view `sent_deliveries` takes it from the run.
#[derive(Debug, Default, Deserialize)]
pub struct Told {
    /// The service's own address.
    pub origin: String,
    /// The run; none for a test.
    pub run: Option<i64>,
    /// The environment's name.
    pub environment: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// Who started it.
    pub started_by: Option<String>,
    /// How it ended, if it did.
    pub result: Option<String>,
    /// How it broke, if it did.
    pub error_code: Option<String>,
    /// Tests that failed.
    pub failed: Option<i64>,
    /// All of them.
    pub total: Option<i64>,
    /// Who cancelled it, if somebody or something did.
    pub by: Option<String>,
    /// What brought that about.
    pub cause: Option<String>,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// How it stopped.
    pub outcome: Option<String>,
}
