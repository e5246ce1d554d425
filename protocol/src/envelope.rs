//! What every answer is wrapped in.

use serde::{Deserialize, Serialize};

/// `{"data": …}`: the envelope of every success but the cancel's own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// `{"message": …}`: the contract's 200 of a cancel, and the 412 of cancel, claim and finish.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// What happened, or why nothing did, for a person.
    pub message: String,
}

/// The contract's error, with every other status.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// Null in every error.
    pub data: (),
    /// What went wrong.
    pub error: ErrorDetail,
}

/// How the message of a 404 begins at a path where nothing is served, unlike that of something that does not exist. By it,
/// a client knows that its address is wrong and not the id.
pub const NO_SUCH_ROUTE: &str = "Nothing is served at this path.";

/// What went wrong.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// What went wrong and what to do next, for a person.
    pub message: String,
}

/// Where a page is in a list that is paged by id.
#[derive(Debug, Serialize, Deserialize)]
pub struct CursorPagination {
    /// Items per page.
    pub per_page: i64,
    /// The `before` that continues from here, perhaps with an empty page; null if nothing older can be left.
    pub next_before: Option<i64>,
}
