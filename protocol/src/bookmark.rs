//! What has been seen of a database that has read replicas.

/// The header in which an answer says what it has seen, and a request what the answer has to have seen. It is the database's number and
/// a bookmark of D1's, `0:00000085-0000024c-…`.
pub const HEADER: &str = "Estop-Bookmark";

/// In a request: everything that was written so far.
pub const LATEST: &str = "latest";
