//! Where what a request is about lives, if neither key nor lease says so, and what all databases have to say together.
//!
//! The directory of projects is in `DB`. A project stays in its bucket, so an isolate asks for each once. With one database there is
//! nothing to find out: then [`find`], [`go_to`] and [`go_to_slug`] do nothing.

use std::future::poll_fn;
use std::task::Poll;

use serde_json::value::RawValue;

use crate::buckets::{Bucket, database_of};
use crate::database::{Answer, Database, Home};
use crate::http::request::Call;
use crate::operations::page::Page;
use crate::runtime::{DbError, LocalFuture, Sql, Statement, Value, sql};

const BUCKET: Sql = sql!("directory/bucket.sql");
const WHOSE: Sql = sql!("directory/whose.sql");

/// Whether there is more than one database.
pub fn several(call: &Call<'_>) -> bool {
    call.runtime.databases().len() > 1
}

/// From now on a request goes to where what its path names is: a project, or something of a project's.
///
/// # Errors
/// As [`Database::batch`].
pub async fn find(call: &Call<'_>) -> Result<(), DbError> {
    // What is wrong with an id, the operation says.
    let (Ok(id @ 1..), true) = (call.id(), several(call)) else { return Ok(()) };
    match call.operation.pattern.split('/').nth(2) {
        Some("projects") => go_to(call, id).await,
        Some(table @ ("environments" | "keys" | "webhooks" | "deliveries")) => seek(call, table, id).await,
        _ => Ok(()),
    }
}

/// The bucket of a project; `None` if there is no such project.
///
/// # Errors
/// As [`Database::batch`].
pub async fn bucket(call: &Call<'_>, project: i64) -> Result<Option<Bucket>, DbError> {
    ask(call, named(project), vec![project.into(), Value::Null]).await
}

/// What a project with this id is known by.
pub fn named(project: i64) -> String {
    format!("#{project}")
}

/// From now on the request goes to the database of this project. If there is none, it goes to `DB`, which has none either.
///
/// # Errors
/// As [`Database::batch`].
pub async fn go_to(call: &Call<'_>, project: i64) -> Result<(), DbError> {
    if several(call) {
        go(call, bucket(call, project).await?);
    }
    Ok(())
}

/// The same, for the project with this slug.
///
/// # Errors
/// As [`Database::batch`].
pub async fn go_to_slug(call: &Call<'_>, slug: &str) -> Result<(), DbError> {
    if several(call) {
        go(call, ask(call, slug.to_owned(), vec![Value::Null, slug.into()]).await?);
    }
    Ok(())
}

fn go(call: &Call<'_>, bucket: Option<Bucket>) {
    call.home.set(bucket.map_or(Home::FIRST, Home::Bucket));
}

/// Asks the directory, unless this isolate knows it.
async fn ask(call: &Call<'_>, name: String, params: Vec<Value<'_>>) -> Result<Option<Bucket>, DbError> {
    let known = call.runtime.known();
    if let Some(bucket) = known.get(&name) {
        return Ok(Some(bucket));
    }
    let found = at(call, Home::FIRST).batch(vec![Statement::new(BUCKET, params)]).await.and_then(|rows| read(&rows))?;
    if let Some(bucket) = found {
        known.add(name, bucket);
    }
    Ok(found)
}

/// The bucket that a statement gave, if it gave one.
fn read(rows: &Answer) -> Result<Option<Bucket>, DbError> {
    let name: Option<String> = rows.first(0)?;
    name.map(|name| Bucket::parse(&name).ok_or(DbError::Unreadable(BUCKET.file))).transpose()
}

/// From now on the request goes to the database of the project that an environment, a key, a webhook or a delivery is of. The database
/// that has given the id is asked first, and then those after it: a bucket only moves to a greater number. If none knows it, it goes to
/// `DB`. If one that might know it does not answer, and none other does, that is an error.
async fn seek(call: &Call<'_>, table: &str, id: i64) -> Result<(), DbError> {
    let question = Statement::new(WHOSE, vec![id.into(), table.into()]);
    let (own, later): (Vec<i64>, Vec<i64>) = call
        .runtime
        .databases()
        .iter()
        .filter(|number| **number >= database_of(id))
        .partition(|n| **n == database_of(id));
    let mut failure = None;
    for databases in [own, later] {
        for (_, answer) in of(call, &databases, std::slice::from_ref(&question)).await {
            match answer.and_then(|rows| read(&rows)) {
                Ok(None) => {}
                Ok(found) => {
                    go(call, found);
                    return Ok(());
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// What each database says to a batch. All are asked at the same time.
pub async fn everywhere(call: &Call<'_>, statements: &[Statement<'_>]) -> Vec<(i64, Result<Answer, DbError>)> {
    of(call, call.runtime.databases(), statements).await
}

async fn of(call: &Call<'_>, databases: &[i64], statements: &[Statement<'_>]) -> Vec<(i64, Result<Answer, DbError>)> {
    let ask = |number: &i64| -> LocalFuture<'_, _> {
        let number = *number;
        Box::pin(async move { (number, at(call, Home::Database(number)).batch(statements.to_vec()).await) })
    };
    together(databases.iter().map(ask).collect()).await
}

/// What all of them give. (The `futures` crate's `join_all` would be 2 KB of the upload more.)
async fn together<T>(mut running: Vec<LocalFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in running.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(given) = future.as_mut().poll(context) {
                *done = Some(given);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A page of what all databases have, newest first. Its statement gives objects that begin with their ids.
///
/// # Errors
/// If a database does not answer: a list that lacked its part would be wrong.
pub async fn page(call: &Call<'_>, page: Page, statement: Statement<'_>) -> Result<Vec<(i64, Box<RawValue>)>, DbError> {
    let file = statement.file;
    let mut items: Vec<(i64, Box<RawValue>)> = Vec::new();
    // While a bucket moves, two databases have what is in it. The one that it leaves counts, and lists nothing of it once it has moved.
    for (_, answer) in everywhere(call, &[statement]).await {
        for row in answer?.rows(0) {
            let id = row.get().strip_prefix(r#"{"id":"#).and_then(|rest| rest.split_once(','));
            let id = id.and_then(|(id, _)| id.parse().ok()).ok_or(DbError::Unreadable(file))?;
            let place = items.partition_point(|(other, _)| *other > id);
            if items.get(place).is_none_or(|(other, _)| *other != id) {
                items.insert(place, (id, row.clone()));
            }
        }
    }
    items.truncate(usize::try_from(page.per_page).unwrap_or(usize::MAX));
    Ok(items)
}

/// A database as this request reaches it.
pub fn at<'a>(call: &Call<'a>, home: Home) -> Database<'a> {
    Database { home, ..call.database() }
}
