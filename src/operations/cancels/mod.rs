//! `GET /api/cancels`: who stopped what, when and why, and how it stopped; newest first.

mod query;

use estop_protocol::cancels::CancelsPagination;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::http::caller::{Caller, Key};
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::{Sql, sql};
use query::CancelsQuery;

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/cancels",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const CANCELS: Sql = sql!("cancels/cancels.sql");

/// How many cancels a filter is tried on at most, which is as many as the largest page has.
const WINDOW: i64 = 100;

/// [`estop_protocol::cancels::CancelList`], with the database's JSON in place of the cancels.
#[derive(Serialize)]
struct List<'a> {
    data: Data<'a>,
    pagination: CancelsPagination,
}

#[derive(Serialize)]
struct Data<'a> {
    cancels: &'a RawValue,
    archived_through: Option<i64>,
}

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        archived_through: Option<i64>,
        page: Page,
        end: Option<String>,
    }
    #[derive(Deserialize)]
    struct Page {
        cancels: Box<RawValue>,
        count: i64,
        last: Option<String>,
    }
    let query = CancelsQuery::parse(call.request.query)?;
    let (at, id) = query.before;
    let params = [
        at.into(),
        id.into(),
        query.from.into(),
        query.by.as_deref().into(),
        query.cause.into(),
        query.environment.as_deref().into(),
        query.per_page.into(),
        WINDOW.into(),
    ];
    call.may_lag();
    let Row { key, archived_through, page, end } =
        call.batch(vec![caller.statement(CANCELS, params)]).await?.only(0)?;
    caller.check(key, Scope::Read)?;
    let next_before = if page.count == query.per_page { page.last } else { end };
    let pagination = CancelsPagination { per_page: query.per_page, next_before };
    Ok(Reply::ok("listed", &List { data: Data { cancels: &page.cancels, archived_through }, pagination }))
}
