//! What `buckets` in a database says of each.

use serde::Deserialize;

/// What a bucket is to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It lives there.
    Here,
    /// It lives there, but is being copied.
    Leaving,
    /// It is being copied to there.
    Arriving,
    /// It lives elsewhere.
    Moved,
}

impl State {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Leaving => "leaving",
            Self::Arriving => "arriving",
            Self::Moved => "moved",
        }
    }
}
