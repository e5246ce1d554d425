//! `GET /api/export`: all that is stored of runs that are over.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A page of an export.
#[derive(Debug, Serialize, Deserialize)]
pub struct Export {
    /// Lines of the archive's format: each is an object with its `kind` (`archive`, `project`, `environment`, `run`, `event`,
    /// `shard`) and, but for the first kind, a `row` of that table. Of a run, they are in one page. The Worker puts them together as
    /// texts.
    pub lines: Vec<Box<RawValue>>,
    /// What to pass as `after` for the next page, which may be empty; null if nothing is left.
    pub next_after: Option<i64>,
}
