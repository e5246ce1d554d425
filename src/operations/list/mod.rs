//! `GET /api/test-runs`: a project's runs, newest first.

pub mod query;
pub mod statement;

use estop_protocol::list::Pagination;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::http::caller::{Caller, Key};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::invalid;
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::DbError;
use query::RunsQuery;

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/test-runs",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

/// [`estop_protocol::list::RunList`], with the database's JSON in place of the project and the runs.
#[derive(Serialize)]
struct List<'a> {
    data: Data<'a>,
    pagination: Pagination,
}

#[derive(Serialize)]
struct Data<'a> {
    project: &'a RawValue,
    test_runs: Items<'a>,
    archived_through: Option<i64>,
}

#[derive(Serialize)]
struct Items<'a> {
    items: &'a [Box<RawValue>],
}

#[derive(Deserialize)]
struct Head {
    key: Key,
    project: Option<Box<RawValue>>,
    archived_through: Option<i64>,
    seen: Option<Seen>,
}

/// What the window holds.
#[derive(Deserialize)]
struct Seen {
    matched: i64,
    /// Whether there are runs beyond it.
    more: bool,
    last_id: Option<i64>,
}

/// The most that a page may be, in bytes of JSON. Longer ones, of runs that use their limits to the full, end early.
const PAGE_BYTES: usize = 900_000;

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let query = RunsQuery::parse(call.request.query, call.request.now)?;
    let batch = statement::list(&query.filter, caller.key.as_str(), caller.now.0, query.offset(), query.per_page);
    call.may_lag();
    let rows = call.batch(batch.into()).await?;
    let Head { key, project, archived_through, seen } = rows.only(0)?;
    caller.check(key, Scope::Read)?;
    let (Some(project), Some(seen)) = (project, seen) else { return Err(ApiError::NotFound("project")) };
    let reach = seen.matched.min(statement::reach(query.per_page));
    if query.page > 1 && query.offset() >= reach {
        let expected = format!(
            "expected one of the first {reach} runs' pages; `before` with the last page's `next_before` goes on without end"
        );
        return Err(invalid("page", &expected));
    }
    let found = rows.rows(1);
    let items = within(found, PAGE_BYTES);
    let last = items.last().map(|run| id_of(run)).transpose()?;
    let pagination = pagination(&query, &seen, items.len(), last, items.len() < found.len());
    let data = Data { project: &project, test_runs: Items { items }, archived_through };
    Ok(Reply::ok("listed", &List { data, pagination }))
}

/// As many of the first rows as have at most `bytes` together, but one at least.
fn within(rows: &[Box<RawValue>], bytes: usize) -> &[Box<RawValue>] {
    let mut length = 0;
    let fit = rows.iter().take_while(|row| {
        length += row.get().len();
        length <= bytes
    });
    let count = fit.count().max(1);
    rows.get(..count).unwrap_or(rows)
}

fn id_of(run: &RawValue) -> Result<i64, ApiError> {
    #[derive(Deserialize)]
    struct Id {
        id: i64,
    }
    let id: Id = serde_json::from_str(run.get()).map_err(|_| DbError::Unreadable(statement::FILE))?;
    Ok(id.id)
}

fn pagination(query: &RunsQuery, seen: &Seen, items: usize, last: Option<i64>, cut: bool) -> Pagination {
    let shown = query.offset() + i64::try_from(items).unwrap_or(i64::MAX);
    let next_before = if cut || shown < seen.matched {
        last
    } else {
        // This page has the last match of the window: what is older was not looked at.
        seen.last_id.filter(|_| seen.more)
    };
    let counted = query.filter.before.is_none();
    Pagination {
        page: query.page,
        per_page: query.per_page,
        total: counted.then_some(seen.matched),
        total_pages: counted.then(|| {
            let reach = seen.matched.min(statement::reach(query.per_page));
            reach.div_euclid(query.per_page) + i64::from(reach % query.per_page != 0)
        }),
        total_is_lower_bound: counted.then_some(seen.more),
        next_before,
    }
}
