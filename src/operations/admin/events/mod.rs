//! `GET /api/admin-events`: what was changed behind the admin token, and when. Triggers write it down.
//!
//! The database writes what is answered; tests hold it to [`estop_protocol::admin_events`].

use super::listed;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::request::Call;
use crate::operations::directory;
use crate::operations::page::Page;
use crate::runtime::{Sql, Statement, sql};

/// Lists the events.
pub const LIST: Operation =
    Operation { method: Method::Get, pattern: "/api/admin-events", access: Access::Admin(|call| Box::pin(list(call))) };

const LIST_EVENTS: Sql = sql!("admin/events/list.sql");

async fn list(call: &Call<'_>) -> Outcome {
    let page = Page::of(call.request.query)?;
    let params = vec![page.before.into(), page.per_page.into()];
    let events = directory::page(call, page, Statement::new(LIST_EVENTS, params)).await?;
    Ok(listed("events", page, &events))
}
