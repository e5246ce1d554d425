//! `GET /api/buckets`, `POST /api/buckets/{bucket}/move`, `DELETE /api/buckets/{bucket}/move`: which database has what, and how it
//! gets to another one.

use serde::{Deserialize, Serialize};

use crate::whole::Whole;

/// Where a bucket is to go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// The number of the database, from 0 to 511: n is bound as `DB_n`, and 0 as `DB`.
    pub to: Whole,
}

/// `{"move": …}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneMove {
    /// How far it is.
    #[serde(rename = "move")]
    pub report: MoveReport,
}

/// How far a move is. Whoever asks again does the next piece of it, until it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveReport {
    /// The bucket.
    pub bucket: String,
    /// The number of the database that it comes from.
    pub from: i64,
    /// The number of the database that it goes to; where it is, if no move is under way.
    pub to: i64,
    /// What is done next: `clear`, `copy`, `check`, `thaw`, `remove`, `undo`; `idle` if nothing is.
    pub phase: String,
    /// How many rows were copied so far.
    pub copied: i64,
    /// How many rows were compared with their originals so far.
    pub checked: i64,
    /// How many rows were removed so far; a run counts as one, with all that belongs to it.
    pub removed: i64,
    /// Whether nothing is left to do.
    pub done: bool,
}

/// Which database has what.
#[derive(Debug, Serialize, Deserialize)]
pub struct Buckets {
    /// The databases that are bound.
    pub databases: Vec<DatabaseOfBuckets>,
    /// The moves that are under way.
    pub moves: Vec<Move>,
    /// What the setting `BUCKETS` should be; null if `DB` gives no answer.
    pub setting: Option<String>,
}

/// A database, and what it has.
#[derive(Debug, Serialize, Deserialize)]
pub struct DatabaseOfBuckets {
    /// Its number.
    pub number: i64,
    /// Whether it answered. What is said of one that did not is what the others know.
    pub answers: bool,
    /// The buckets that it has, as ranges: `0a-0f k3`.
    pub buckets: String,
    /// How many projects live in it; null if it did not answer.
    pub projects: Option<i64>,
}

/// A move that is under way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Move {
    /// The bucket.
    pub bucket: String,
    /// The number of the database that it comes from.
    pub from: i64,
    /// The number of the database that it goes to.
    pub to: i64,
    /// What is done next, as in [`MoveReport::phase`]; `differs` if the copy differed twice.
    pub phase: String,
}
