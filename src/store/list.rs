//! The list of runs.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::KeyVerdict;
use super::run::Caller;
use crate::error::ApiError;
use crate::host::{self, Host};
use crate::key::Scope;
use crate::sql::list::{WINDOW, list as statements};
use crate::wire::answers::Pagination;
use crate::wire::query::RunsQuery;

/// One page of a project's runs.
#[derive(Debug)]
pub struct Page {
    /// The key's project: a [`crate::wire::answers::Project`] in JSON.
    pub project: Box<RawValue>,
    /// The runs, newest first: each a [`crate::wire::answers::TestRun`] in JSON.
    pub items: Vec<Box<RawValue>>,
    /// Where the page lies.
    pub pagination: Pagination,
}

/// One page of a project's runs, newest first.
///
/// # Errors
/// 401, 403, 503.
pub async fn list(host: &impl Host, caller: &Caller<'_>, query: &RunsQuery) -> Result<Page, ApiError> {
    #[derive(Deserialize)]
    struct Head {
        key: KeyVerdict,
        project: Option<Box<RawValue>>,
        counted: Option<Counted>,
    }
    #[derive(Deserialize)]
    struct Counted {
        matched: i64,
        scanned: i64,
        last_id: Option<i64>,
    }
    #[derive(Deserialize)]
    struct Id {
        id: i64,
    }
    let batch = statements(&query.filter, caller.key.as_str(), caller.now.0, query.offset(), query.per_page);
    let rows = host::batch(host, &batch, caller.deadline).await?;
    let head: Head = host::only(&rows, 0)?;
    head.key.check(Scope::Read)?;
    let project = head.project.ok_or(ApiError::NotFound("project"))?;
    let items: Vec<Box<RawValue>> = host::all(&rows, 1)?;

    let full_page = i64::try_from(items.len()) == Ok(query.per_page);
    let next_before = if full_page {
        host::last::<Id>(&rows, 1)?.map(|run| run.id)
    } else {
        // The window was full and this page ends it: what is older was not looked at.
        head.counted.as_ref().filter(|c| c.scanned == WINDOW).and_then(|c| c.last_id)
    };
    let total = head.counted.filter(|_| query.filter.before.is_none()).map(|c| c.matched);
    let pagination = Pagination {
        page: query.page,
        per_page: query.per_page,
        total,
        total_pages: total.map(|n| n.div_euclid(query.per_page) + i64::from(n % query.per_page != 0)),
        next_before,
    };
    Ok(Page { project, items, pagination })
}
