//! Set-up, behind the admin token. The token is checked before any of these statements runs, so they have no guard.
//!
//! Each creation stores the id of its write, so that a repeat after a lost answer recognises its own work.

pub mod buckets;
pub mod environments;
pub mod events;
pub mod keys;
pub mod people;
pub mod projects;
pub mod webhooks;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::error::ApiError;
use crate::http::json;
use crate::http::reply::Reply;
use crate::http::write_id::Mine;
use crate::operations::page::Page;

/// What a creation found under its slug.
#[derive(Deserialize)]
struct Found<T> {
    /// Whether this very request created it.
    mine: Mine,
    item: Option<T>,
}

impl<T> Found<T> {
    fn created(self, what: &str) -> Result<T, ApiError> {
        match (self.mine.check()?, self.item) {
            (true, Some(item)) => Ok(item),
            _ => Err(ApiError::Conflict(format!("The slug is taken: there is such {what} already. Choose another."))),
        }
    }
}

/// A page of a list, of items that the database has written, with their ids.
fn listed(name: &str, page: Page, items: &[(i64, Box<RawValue>)]) -> Reply {
    let pagination = json(&page.pagination(items.iter().map(|(id, _)| *id)));
    let items: Vec<&str> = items.iter().map(|(_, item)| item.get()).collect();
    Reply::text(200, "listed", format!(r#"{{"data":{{"{name}":[{}]}},"pagination":{pagination}}}"#, items.join(",")))
}
