//! `GET /api/export`: all that is stored of the project's runs that are over, page by page, as the archive keeps it. The only
//! operation that asks the database twice: which runs are next, and then for their lines. If those have just been archived, it begins
//! once more.

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

/// How many bytes these have at most, by an estimate, unless one has more.
const PAGE_BYTES: i64 = 1_000_000;

/// Runs of the database that come next: their project, the first and the last, how many and how many bytes they are, and those of
/// them that stay out.
type Range = (i64, i64, i64, usize, i64, Vec<i64>);

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
    // A tick may archive what was chosen before its lines are read. The second choice finds it in the archive.
    for _ in 0..2 {
        let statement = caller.statement(EXPORT, [after.into(), RUNS.into(), KEEP_LATE_FOR.into(), PAGE_BYTES.into()]);
        let Row { key, archived, range } = call.batch(vec![statement]).await?.only(0)?;
        caller.check(key, Scope::Read)?;
        let (lines, next_after) = match (archived, range) {
            (Some(archived), _) => {
                let (lines, next) = read::after(call.runtime, &archived, after).await?;
                (lines, Some(next))
            }
            (None, Some(range)) => match of_database(call, &range).await? {
                Some(lines) => (lines, Some(range.2)),
                None => continue,
            },
            (None, None) => (Vec::new(), None),
        };
        // Each line is JSON already.
        let next_after = next_after.map_or_else(|| "null".to_owned(), |next| next.to_string());
        let body = format!(r#"{{"data":{{"lines":[{}],"next_after":{next_after}}}}}"#, lines.join(","));
        return Ok(Reply::text(200, "exported", body));
    }
    Err(ApiError::NoArchive)
}

/// The lines of these runs: nothing, if one of them is not in the database any more.
async fn of_database(
    call: &Call<'_>,
    (project, first, last, runs, bytes, out): &Range,
) -> Result<Option<Vec<String>>, ApiError> {
    let rows = archive::lines(&call.database(), *project, *first, *last, *bytes).await?;
    let lines = || rows.rows(0).iter().chain(rows.rows(1)).map(|line| line.get());
    if lines().filter(|line| read::begins_run(line)).count() != *runs {
        return Ok(None);
    }
    let stays_out = |line: &&str| read::run_of(line).is_some_and(|run| out.contains(&run));
    Ok(Some(lines().filter(|line| !stays_out(line)).map(str::to_owned).collect()))
}
