//! What an operation answers, and what the log says of it.

use estop_protocol::envelope::{Data, ErrorDetail, ErrorResponse, Message};
use serde::Serialize;

use super::error::ApiError;
use super::json;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// JSON, unless a header says otherwise; nothing with a 204 or 304.
    pub body: String,
    /// Headers beyond the usual.
    pub headers: Vec<(&'static str, String)>,
    /// What came of it, in a word or two, for the log.
    pub outcome: &'static str,
    /// The run that it was about, for the log.
    pub run_id: Option<i64>,
    /// The key that asked, for the log.
    pub key_id: Option<i64>,
    /// Whether it is one of thousands that change nothing and tell nobody anything: not worth a line of the log.
    pub is_routine: bool,
    /// What an operator needs to know of a failure, for the log alone.
    pub detail: Option<String>,
    /// The line to the hub that is opened instead of an answer.
    pub line: Option<Line>,
}

/// A WebSocket to a project's hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The project.
    pub project: i64,
    /// What it hears, as [`crate::hub`] names it.
    pub tags: Vec<String>,
}

impl Reply {
    /// 200 with a body of its own shape.
    pub fn ok(outcome: &'static str, body: &impl Serialize) -> Self {
        Self::text(200, outcome, json(body))
    }

    /// 200 with `{"data": …}`.
    pub fn data(outcome: &'static str, data: impl Serialize) -> Self {
        Self::ok(outcome, &Data { data })
    }

    /// 204.
    pub fn nothing(outcome: &'static str) -> Self {
        Self::text(204, outcome, String::new())
    }

    /// The 412 of cancel, claim and finish.
    pub fn refused(outcome: &'static str, message: String) -> Self {
        Self::text(412, outcome, json(&Message { message }))
    }

    /// Any status, with a finished JSON body.
    pub fn text(status: u16, outcome: &'static str, body: String) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
            outcome,
            run_id: None,
            key_id: None,
            is_routine: false,
            detail: None,
            line: None,
        }
    }

    /// An error.
    pub fn error(error: &ApiError, request_id: &str) -> Self {
        let body = ErrorResponse { data: (), error: ErrorDetail { message: error.message(request_id) } };
        let reply = Self::text(error.status(), error.outcome(), json(&body));
        Self { headers: error.headers(), detail: error.detail(), ..reply }
    }

    /// Names the run for the log.
    #[must_use]
    pub fn about(mut self, run_id: i64) -> Self {
        self.run_id = (run_id > 0).then_some(run_id);
        self
    }
}
