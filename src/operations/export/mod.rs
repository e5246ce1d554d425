//! `GET /api/export`: all that is stored of the project's runs that are over, page by page, as the archive keeps it. The only
//! operation that asks the database twice: which runs are next, and then for their lines.

use estop_protocol::limits::MAX_ID;
use serde::Deserialize;

use crate::archive;
use crate::archive::read::{self, Archived};
use crate::http::caller::{Caller, Key};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::Parameters;
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::run::KEEP_LATE_FOR;
use crate::runtime::{Sql, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/export",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const EXPORT: Sql = sql!("export/export.sql");

/// How many runs of the database a page has at most.
const RUNS: i64 = 20;

/// Runs of the database that come next: their project, the first and the last, and those between them that stay out.
type Range = (i64, i64, i64, Vec<i64>);

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        archived: Option<Archived>,
        range: Option<Range>,
    }
    let mut given = Parameters::read(call.request.query)?;
    let after = given.number("after", 0, MAX_ID)?.unwrap_or(0);
    given.end("after")?;
    let statement = caller.statement(EXPORT, [after.into(), RUNS.into(), KEEP_LATE_FOR.into()]);
    let Row { key, archived, range } = call.batch(vec![statement]).await?.only(0)?;
    caller.check(key, Scope::Read)?;
    let (lines, next_after) = match (archived, range) {
        (Some(archived), _) => {
            let (lines, next) = read::after(call.runtime, &archived, after).await?;
            (lines, Some(next))
        }
        (None, Some(range)) => (of_database(call, &range).await?, Some(range.2)),
        (None, None) => (Vec::new(), None),
    };
    // Each line is JSON already.
    let next_after = next_after.map_or_else(|| "null".to_owned(), |next| next.to_string());
    let body = format!(r#"{{"data":{{"lines":[{}],"next_after":{next_after}}}}}"#, lines.join(","));
    Ok(Reply::text(200, "exported", body))
}

async fn of_database(call: &Call<'_>, (project, first, last, out): &Range) -> Result<Vec<String>, ApiError> {
    let rows = archive::lines(call.runtime, call.config, *project, *first, *last).await?;
    let stays_out = |line: &str| read::run_of(line).is_some_and(|run| out.contains(&run));
    let lines = rows.rows(0).iter().chain(rows.rows(1)).map(|line| line.get());
    Ok(lines.filter(|line| !stays_out(line)).map(str::to_owned).collect())
}
