//! How far a move is: what the bucket's row says, in the database that it leaves and in the one that it goes to.

use serde::{Deserialize, Serialize};

use crate::buckets::State;

/// What is done next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing: no move is under way.
    #[default]
    Idle,
    /// What an earlier attempt left in the other database is removed.
    Clear,
    /// The rows are copied.
    Copy,
    /// What was copied is compared.
    Check,
    /// The copy differed twice. The move stands still until it is called off.
    Differs,
    /// The bucket has moved, and the other database is to serve it.
    Thaw,
    /// What it left is removed.
    Remove,
    /// The move was called off, and what was copied is removed.
    Undo,
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Clear => "clear",
            Self::Copy => "copy",
            Self::Check => "check",
            Self::Differs => "differs",
            Self::Thaw => "thaw",
            Self::Remove => "remove",
            Self::Undo => "undo",
        }
    }
}

/// Where the last rows of a table ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The first part of their key.
    pub a: i64,
    /// The rest of it, if there is more.
    pub b: String,
}

impl Default for Cursor {
    /// Before all: no key is as small.
    fn default() -> Self {
        Self { a: -estop_protocol::limits::MAX_ID, b: String::new() }
    }
}

/// What the row of the database that the bucket leaves says. It is the truth of a move: whatever is found elsewhere follows from it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Counts the attempts to copy this bucket, in whichever databases it has been. What belongs to an older attempt writes nothing.
    pub epoch: i64,
    /// What is done next.
    #[serde(default)]
    pub phase: Phase,
    /// The database that it goes to.
    #[serde(default)]
    pub to: i64,
    /// Which of the tables is next.
    #[serde(default)]
    pub table: usize,
    /// And of which project, or after which one.
    #[serde(default)]
    pub project: i64,
    /// And after which row.
    #[serde(default)]
    pub after: Cursor,
    /// Whether this is the second attempt, because the first copy differed.
    #[serde(default)]
    pub again: bool,
    /// How many rows were copied, compared and removed.
    #[serde(default)]
    pub copied: i64,
    #[serde(default)]
    pub checked: i64,
    #[serde(default)]
    pub removed: i64,
    /// The SHA-256 of the rows that were compared, of each chunk and the hash before it.
    #[serde(default)]
    pub hash: String,
    /// The databases that it was in, the last ones.
    #[serde(default)]
    pub former: Vec<i64>,
}

impl Progress {
    /// Another phase, from the beginning.
    #[must_use]
    pub fn next(&self, phase: Phase) -> Self {
        Self { phase, table: 0, project: 0, after: Cursor::default(), ..self.clone() }
    }
}

/// What the row of the database that a bucket goes to says: of which attempt it takes rows, and whether it still does.
pub fn fence(epoch: i64, sealed: bool) -> String {
    format!(r#"{{"epoch":{epoch},"sealed":{sealed}}}"#)
}

/// What a database knows of a bucket.
#[derive(Debug, Clone, Deserialize)]
pub struct Known {
    /// What it is to it; nothing where it has no row of it.
    pub state: Option<State>,
    /// Where it goes or went.
    pub moved_to: Option<i64>,
    /// Where it comes from.
    pub moved_from: Option<i64>,
    /// Whether rows of it are there that are not to be used.
    pub frozen: Option<u8>,
    /// How far a move is, as it is stored.
    pub progress: Option<String>,
    /// Whether there are projects of it.
    pub has_projects: bool,
}

impl Known {
    /// How far a move is.
    pub fn progress(&self) -> Progress {
        self.progress.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}
