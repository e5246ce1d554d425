//! `GET /api/buckets`, `POST /api/buckets/{bucket}/move`, `DELETE /api/buckets/{bucket}/move`.
//!
//! A request does a bounded piece of a move; whoever repeats it carries on.

use std::collections::BTreeMap;

use estop_protocol::buckets::{Buckets, DatabaseOfBuckets, Move, MoveRequest, OneMove};
use serde::Deserialize;

use crate::buckets::{BUCKETS, Bucket, MAX_DATABASE, State, ranges};
use crate::http::check::whole;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::moving::{self, Phase, Stop};
use crate::operations::directory::everywhere;
use crate::runtime::{Sql, Statement, sql};

/// Says which database has what.
pub const LIST: Operation =
    Operation { method: Method::Get, pattern: "/api/buckets", access: Access::Admin(|call| Box::pin(list(call))) };

/// Moves a bucket to another database, piece by piece.
pub const MOVE: Operation = Operation {
    method: Method::Post,
    pattern: "/api/buckets/:id/move",
    access: Access::Admin(|call| Box::pin(go_on(call))),
};

/// Calls a move off, piece by piece.
pub const CALL_OFF: Operation = Operation {
    method: Method::Delete,
    pattern: "/api/buckets/:id/move",
    access: Access::Admin(|call| Box::pin(call_off(call))),
};

const LIST_BUCKETS: Sql = sql!("admin/buckets/list.sql");

async fn go_on(call: &Call<'_>) -> Outcome {
    let MoveRequest { to } = call.body()?;
    let bucket = bucket(call)?;
    let to = whole("to", Some(to), 0, MAX_DATABASE)?.unwrap_or(0);
    let report = moving::go_on(call.runtime, call.config, bucket, call.request.now.0, to).await;
    let report = report.map_err(|stop| refused(bucket, stop))?;
    let outcome = if report.done { "moved" } else { "moving" };
    Ok(Reply::data(outcome, OneMove { report }))
}

async fn call_off(call: &Call<'_>) -> Outcome {
    let bucket = bucket(call)?;
    let report = moving::call_off(call.runtime, call.config, bucket, call.request.now.0).await;
    let report = report.map_err(|stop| refused(bucket, stop))?;
    let outcome = if report.done { "called_off" } else { "calling_off" };
    Ok(Reply::data(outcome, OneMove { report }))
}

fn bucket(call: &Call<'_>) -> Result<Bucket, ApiError> {
    let message = "The bucket in the path must be two lower-case letters or digits, like k3.";
    Bucket::parse(call.request.id).ok_or_else(|| ApiError::Invalid(message.to_owned()))
}

fn refused(bucket: Bucket, stop: Stop) -> ApiError {
    let bucket = bucket.as_str();
    let conflict = |message: String| ApiError::Conflict(message);
    match stop {
        Stop::Db(error) => error.into(),
        Stop::NotBound(to) => ApiError::Invalid(format!(
            "Field `to`: there is no database with the number {to}. Add the binding DB_{to} to wrangler.toml and run make deploy; \
             GET /api/buckets lists those that there are."
        )),
        Stop::Downwards(from) => conflict(format!(
            "Bucket {bucket} has projects and is in database {from}. It only moves to a database with a greater number: new ids \
             come after all that there are, wherever it was before."
        )),
        Stop::TooManyProjects => conflict(format!(
            "Bucket {bucket} has more than 10,000 projects, which is more than can be moved. If it stands still, call the move off: `estop admin move \
             {bucket} --abort`."
        )),
        Stop::OnItsWay(to) => conflict(format!(
            "Bucket {bucket} is on its way to database {to}. Let it arrive (`estop admin move {bucket} --to {to}`), or call that \
             off first (`estop admin move {bucket} --abort`)."
        )),
        Stop::HasMoved(to) => conflict(format!(
            "Bucket {bucket} has moved to database {to} and is served there: it is too late to call that off. Carry on with \
             `estop admin move {bucket} --to {to}`."
        )),
        Stop::Differs(table) => conflict(format!(
            "What was copied of the table {table} differs from the original, twice. Nothing is lost: bucket {bucket} is still where \
             it was. Call the move off with `estop admin move {bucket} --abort`, and report this."
        )),
    }
}

/// What a database says.
#[derive(Deserialize)]
struct Said {
    projects: BTreeMap<String, i64>,
    known: Vec<Row>,
}

/// A bucket's row: its name, its state, where it moved, whether it is frozen, where it is to go, and what is done next.
#[derive(Deserialize)]
struct Row(String, State, Option<i64>, u8, Option<i64>, Option<Phase>);

async fn list(call: &Call<'_>) -> Outcome {
    let (mut said, mut failure): (Vec<(i64, Option<Said>)>, _) = (Vec::new(), None);
    for (number, answer) in everywhere(call, &[Statement::new(LIST_BUCKETS, Vec::new())]).await {
        let one = match answer.and_then(|answer| answer.only(0)) {
            Ok(one) => Some(one),
            // A database that is down is no reason not to tell of the others.
            Err(error) if !error.is_bug() => {
                failure = Some(error);
                None
            }
            Err(error) => return Err(error.into()),
        };
        said.push((number, one));
    }
    if let Some(error) = failure.filter(|_| said.iter().all(|(_, one)| one.is_none())) {
        return Err(error.into());
    }
    let (mut owners, mut moves) = (vec![0; usize::from(BUCKETS)], Vec::new());
    // `DB` knows where a bucket went; the database that has it knows better.
    for (number, one) in &said {
        for Row(bucket, state, moved_to, frozen, to, phase) in one.iter().flat_map(|one| &one.known) {
            let Some(parsed) = Bucket::parse(bucket) else { continue };
            let owner = match (state, moved_to) {
                (State::Here | State::Leaving, _) => Some(*number),
                (State::Moved, Some(to)) if *number == 0 || *frozen == 1 => Some(*to),
                _ => None,
            };
            if let (Some(place), Some(owner)) = (owners.get_mut(parsed.index()), owner) {
                *place = owner;
            }
            let phase = phase.unwrap_or_default();
            let is_under_way = phase != Phase::Idle && (*state != State::Moved || *frozen == 1);
            if let (true, Some(to)) = (is_under_way, to) {
                let (bucket, phase) = (bucket.clone(), phase.name().to_owned());
                moves.push(Move { bucket, from: *number, to: *to, phase });
            }
        }
    }
    let of = |number: i64| {
        let has = |(index, owner): (usize, &i64)| (*owner == number).then(|| Bucket::at(index));
        ranges(owners.iter().enumerate().filter_map(has))
    };
    // Not what is only on its way, or was left behind.
    let lives =
        |number: i64, name: &str| Bucket::parse(name).is_some_and(|bucket| owners.get(bucket.index()) == Some(&number));
    let databases = said.iter().map(|(number, one)| DatabaseOfBuckets {
        number: *number,
        answers: one.is_some(),
        buckets: of(*number).join(" "),
        projects: one
            .as_ref()
            .map(|one| one.projects.iter().filter(|(name, _)| lives(*number, name)).map(|(_, count)| count).sum()),
    });
    let databases = databases.collect();
    let first_answers = said.first().is_some_and(|(number, one)| *number == 0 && one.is_some());
    let setting = first_answers.then(|| {
        let mut numbers: Vec<i64> = owners.iter().copied().filter(|owner| *owner > 0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let parts =
            numbers.into_iter().flat_map(|number| of(number).into_iter().map(move |range| format!("{range}={number}")));
        parts.collect::<Vec<_>>().join(" ")
    });
    Ok(Reply::data("listed", Buckets { databases, moves, setting }))
}
