//! What reads runs: list, show, events.

use super::{Api, Reply, Route};
use crate::error::ApiError;
use crate::host::Host;
use crate::store::list::list;
use crate::store::run::{Caller, events, show};
use crate::wire::answers::{Events, OneRun};
use crate::wire::query::RunsQuery;

pub(super) async fn read<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    match api.request.route {
        Route::List => {
            let query = RunsQuery::parse(api.request.query, api.request.now)?;
            Ok(Reply::json(200, "listed", &list(api.host, caller, &query).await?))
        }
        Route::Show => {
            let id = api.id()?;
            let test_run = show(api.host, caller, id).await?;
            Ok(Reply::data("shown", OneRun { test_run }).about(id))
        }
        Route::Events => {
            let id = api.id()?;
            let events = events(api.host, caller, id).await?;
            Ok(Reply::data("shown", Events { events }).about(id))
        }
        _ => Err(ApiError::NoSuchRoute),
    }
}
