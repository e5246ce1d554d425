//! What reads runs: list, show, events.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Api, Reply, Route};
use crate::error::ApiError;
use crate::host::Host;
use crate::store::list::{Page, list};
use crate::store::run::{Caller, events, show};
use crate::wire::answers::Pagination;
use crate::wire::query::RunsQuery;

// The answers' own types (`wire::answers::RunList` and the like) with the database's JSON in place of the runs: reading
// twenty of them into Rust and writing them again would be most of what a list costs here.

#[derive(Serialize)]
struct OneRun<'a> {
    test_run: &'a RawValue,
}

#[derive(Serialize)]
struct Events<'a> {
    events: &'a RawValue,
}

#[derive(Serialize)]
struct RunList<'a> {
    data: RunListData<'a>,
    pagination: &'a Pagination,
}

#[derive(Serialize)]
struct RunListData<'a> {
    project: &'a RawValue,
    test_runs: Items<'a>,
}

#[derive(Serialize)]
struct Items<'a> {
    items: &'a [Box<RawValue>],
}

pub(super) async fn read<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    match api.request.route {
        Route::List => {
            let query = RunsQuery::parse(api.request.query, api.request.now)?;
            let Page { project, items, pagination } = list(api.host, caller, &query).await?;
            let data = RunListData { project: &project, test_runs: Items { items: &items } };
            Ok(Reply::json(200, "listed", &RunList { data, pagination: &pagination }))
        }
        Route::Show => {
            let id = api.id()?;
            let test_run = show(api.host, caller, id).await?;
            Ok(Reply::data("shown", OneRun { test_run: &test_run }).about(id))
        }
        Route::Events => {
            let id = api.id()?;
            let events = events(api.host, caller, id).await?;
            Ok(Reply::data("shown", Events { events: &events }).about(id))
        }
        _ => Err(ApiError::NoSuchRoute),
    }
}
