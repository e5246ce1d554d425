//! `GET /api/test-runs`: a project's runs, newest first.

pub mod query;
pub mod statement;

use estop_protocol::list::Pagination;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::http::caller::{Caller, KeyVerdict};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use query::RunsQuery;
use statement::WINDOW;

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
}

#[derive(Serialize)]
struct Items<'a> {
    items: &'a [Box<RawValue>],
}

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

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    let query = RunsQuery::parse(call.request.query, call.request.now)?;
    let batch = statement::list(&query.filter, caller.key.as_str(), caller.now.0, query.offset(), query.per_page);
    let rows = call.batch(batch.into()).await?;
    let Head { key, project, counted } = rows.only(0)?;
    key.check(Scope::Read)?;
    let project = project.ok_or(ApiError::NotFound("project"))?;
    let items = rows.rows(1);
    let last = items.last().map(|run| id_of(run)).transpose()?;
    let pagination = pagination(&query, counted, items.len(), last);
    let data = Data { project: &project, test_runs: Items { items } };
    Ok(Reply::ok("listed", &List { data, pagination }))
}

fn id_of(run: &RawValue) -> Result<i64, ApiError> {
    #[derive(Deserialize)]
    struct Id {
        id: i64,
    }
    let id: Id =
        serde_json::from_str(run.get()).map_err(|_| crate::runtime::DbError::Unreadable("list/statement.rs"))?;
    Ok(id.id)
}

fn pagination(query: &RunsQuery, counted: Option<Counted>, items: usize, last: Option<i64>) -> Pagination {
    let next_before = if i64::try_from(items) == Ok(query.per_page) {
        last
    } else {
        // The window was full and this page ends it: what is older was not looked at.
        counted.as_ref().filter(|c| c.scanned == WINDOW).and_then(|c| c.last_id)
    };
    let total = counted.filter(|_| query.filter.before.is_none()).map(|c| c.matched);
    Pagination {
        page: query.page,
        per_page: query.per_page,
        total,
        total_pages: total.map(|n| n.div_euclid(query.per_page) + i64::from(n % query.per_page != 0)),
        next_before,
    }
}
