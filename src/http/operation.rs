//! What a row of the table of operations is.

use estop_protocol::limits::{BODY_BYTES, GITHUB_BODY_BYTES};

use super::caller::Caller;
use super::error::ApiError;
use super::reply::Reply;
use super::request::Call;
use crate::key::Scope;
use crate::runtime::LocalFuture;

/// An HTTP method that some operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it (RFC 9110 section 9.3.2).
    Get,
    /// GET alone: what it does must not be done by a HEAD.
    GetOnly,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH (RFC 5789).
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// Its own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get | Self::GetOnly => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The names that an operation with this method answers to.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::GetOnly => &["GET"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
            Self::Patch => &["PATCH"],
            Self::Delete => &["DELETE"],
        }
    }
}

/// What comes of an operation.
pub type Outcome = Result<Reply, ApiError>;

/// Who may call an operation, and what answers it.
#[derive(Clone, Copy)]
pub enum Access {
    /// Anyone.
    Open(for<'a> fn(&'a Call<'a>) -> LocalFuture<'a, Outcome>),
    /// A key with this scope. The operation's own statements judge the key.
    Key(Scope, for<'a> fn(&'a Call<'a>, &'a Caller<'a>) -> LocalFuture<'a, Outcome>),
    /// A key, whatever its scopes, where people can sign in. The operation's own statement judges it.
    Session(for<'a> fn(&'a Call<'a>, &'a Caller<'a>) -> LocalFuture<'a, Outcome>),
    /// Whoever holds the run's lease, whose token is in the body. The operation's own statements judge it; a key is not
    /// asked for and changes nothing.
    Lease(for<'a> fn(&'a Call<'a>) -> LocalFuture<'a, Outcome>),
    /// Whoever holds a shard's lease, whose token is in the header `Estop-Lease`; without it, a key with this scope.
    LeaseOrKey(
        for<'a> fn(&'a Call<'a>, &'a str) -> LocalFuture<'a, Outcome>,
        Scope,
        for<'a> fn(&'a Call<'a>, &'a Caller<'a>) -> LocalFuture<'a, Outcome>,
    ),
    /// GitHub, which signs what it sends with a secret of ours.
    GitHub(for<'a> fn(&'a Call<'a>) -> LocalFuture<'a, Outcome>),
    /// Whoever has the admin token.
    Admin(for<'a> fn(&'a Call<'a>) -> LocalFuture<'a, Outcome>),
}

/// A row of the table: a method and a pattern, in which a name like `:id` stands for one segment, and what they ask for.
#[derive(Clone, Copy)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path.
    pub pattern: &'static str,
    /// Who may call it, and what answers.
    pub access: Access,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Operation {
    /// Its name in the log: `POST /api/test-runs/:id/cancel`.
    pub fn name(&self) -> String {
        format!("{} {}", self.method.name(), self.pattern)
    }

    /// The longest body that it takes, in bytes.
    pub fn body_bytes(&self) -> usize {
        // What people write into a pull request comes along.
        if matches!(self.access, Access::GitHub(_)) { GITHUB_BODY_BYTES } else { BODY_BYTES }
    }

    /// Whether this operation serves `path`.
    pub fn serves(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.pattern.split('/').all(|expected| match segments.next() {
            Some(segment) => expected == segment || (expected.starts_with(':') && !segment.is_empty()),
            None => false,
        }) && segments.next().is_none()
    }
}
