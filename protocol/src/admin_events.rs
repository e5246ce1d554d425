//! `GET /api/admin-events`: what was changed behind the admin token.

use serde::{Deserialize, Serialize};

use crate::envelope::CursorPagination;
use crate::time::Timestamp;

/// A page of events.
#[derive(Debug, Serialize, Deserialize)]
pub struct AdminEventList {
    /// The events.
    pub data: AdminEvents,
    /// Where this page lies.
    pub pagination: CursorPagination,
}

/// The events of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct AdminEvents {
    /// Newest first.
    pub events: Vec<AdminEvent>,
}

/// A change.
#[derive(Debug, Serialize, Deserialize)]
pub struct AdminEvent {
    /// Its id.
    pub id: i64,
    /// When it was made.
    pub at: Timestamp,
    /// What was done, such as `environment_disabled`. More can be added.
    pub what: String,
    /// The project that it was done in, or to.
    pub project_id: i64,
    /// To what: the slug of a project or an environment, or the user of a key.
    pub subject: String,
    /// What else there is to say, for people.
    pub detail: Option<String>,
}
