//! How far the tests of a shard are, and which of them have failed. Heartbeats and the finish carry it; while somebody watches,
//! so does the line of a shard ([`crate::watch`]).

use serde::{Deserialize, Serialize};

use crate::finish::Counts;
use crate::whole;

/// How far the tests are. Each number is 0 to 4,294,967,295.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// How many there are, if that is known.
    #[serde(default, deserialize_with = "whole::optional_count")]
    pub total: Option<u32>,
    /// How many of them are over: passed, failed, flaky or skipped.
    #[serde(default, deserialize_with = "whole::count")]
    pub done: u32,
    /// Failed.
    #[serde(default, deserialize_with = "whole::count")]
    pub failed: u32,
    /// Passed, but not at the first try.
    #[serde(default, deserialize_with = "whole::count")]
    pub flaky: u32,
    /// Not run.
    #[serde(default, deserialize_with = "whole::count")]
    pub skipped: u32,
    /// The test that runs now: one line of at most [`crate::limits::TITLE_CHARS`] characters.
    #[serde(default)]
    pub current: Option<String>,
}

impl Progress {
    /// The same as counts. Whatever is done and not told otherwise has passed; without a total, what is done is all.
    pub fn counts(&self) -> Counts {
        let Self { total, done, failed, flaky, skipped, .. } = *self;
        let others = failed.saturating_add(flaky).saturating_add(skipped);
        Counts { total: total.unwrap_or(done), success: done.saturating_sub(others), failed, skipped, flaky }
    }
}

/// A test that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its title: one line of 1 to [`crate::limits::TITLE_CHARS`] characters.
    pub title: String,
    /// The file that it is in: one line of 1 to [`crate::limits::TITLE_CHARS`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line of the file, from 0.
    #[serde(default, deserialize_with = "whole::optional_count", skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What it says of it: at most [`crate::limits::FAILURE_CHARS`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_and_not_told_otherwise_has_passed() {
        let progress = Progress { total: Some(412), done: 170, failed: 2, flaky: 1, skipped: 3, ..Progress::default() };
        assert_eq!(progress.counts(), Counts { total: 412, success: 164, failed: 2, skipped: 3, flaky: 1 });
        let odd = Progress { done: 3, failed: 5, flaky: u32::MAX, ..Progress::default() };
        assert_eq!(odd.counts(), Counts { total: 3, success: 0, failed: 5, skipped: 0, flaky: u32::MAX });
    }
}
