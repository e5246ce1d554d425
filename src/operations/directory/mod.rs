//! Where what a request is about lives, if neither key nor lease says so, and what all databases have to say together.
//!
//! The directory of projects is in `DB`. A project stays in its bucket, so an isolate asks for each once. With one database there is
//! nothing to find out: then [`go_to`], [`go_to_slug`] and [`seek`] do nothing.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::buckets::{Bucket, database_of};
use crate::database::{Answer, Database, Home};
use crate::http::request::Call;
use crate::operations::page::Page;
use crate::runtime::{DbError, Sql, Statement, Value, sql};

const BUCKET: Sql = sql!("directory/bucket.sql");
const WHOSE: Sql = sql!("directory/whose.sql");

/// Whether there is more than one database.
pub fn several(call: &Call<'_>) -> bool {
    call.runtime.databases().len() > 1
}

/// The bucket of a project; `None` if there is no such project.
///
/// # Errors
/// As [`Database::batch`].
pub async fn bucket(call: &Call<'_>, project: i64) -> Result<Option<Bucket>, DbError> {
    match call.runtime.known().by_id(project) {
        Some(bucket) => Ok(Some(bucket)),
        None => ask(call, vec![project.into(), Value::Null]).await,
    }
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
        let known = call.runtime.known().by_slug(slug);
        go(call, if known.is_some() { known } else { ask(call, vec![Value::Null, slug.into()]).await? });
    }
    Ok(())
}

fn go(call: &Call<'_>, bucket: Option<Bucket>) {
    call.home.set(bucket.map_or(Home::FIRST, Home::Bucket));
}

async fn ask(call: &Call<'_>, params: Vec<Value<'_>>) -> Result<Option<Bucket>, DbError> {
    let rows = at(call, Home::FIRST).batch(vec![Statement::new(BUCKET, params)]).await?;
    let Some((id, slug, name)) = rows.first::<(i64, String, String)>(0)? else { return Ok(None) };
    let bucket = Bucket::parse(&name).ok_or(DbError::Unreadable(BUCKET.file))?;
    call.runtime.known().add(id, &slug, bucket);
    Ok(Some(bucket))
}

/// From now on the request goes to the database of the project that an environment, a key, a webhook or a delivery (`what`) is of. The
/// database that has given the id is asked first, and then those after it: a bucket only moves to a greater number. If none knows it, it
/// goes to `DB`.
///
/// # Errors
/// If none that answers knows it, why another did not answer.
pub async fn seek(call: &Call<'_>, what: &str, id: i64) -> Result<(), DbError> {
    if !several(call) || id == 0 {
        return Ok(());
    }
    let question = Statement::new(WHOSE, vec![id.into(), what.into()]);
    let (own, later): (Vec<i64>, Vec<i64>) = call
        .runtime
        .databases()
        .iter()
        .filter(|number| **number >= database_of(id))
        .partition(|n| **n == database_of(id));
    let mut failure = None;
    for databases in [own, later] {
        for (_, answer) in of(call, &databases, std::slice::from_ref(&question)).await {
            match answer.and_then(|rows| rows.first::<String>(0)) {
                Ok(Some(name)) => {
                    go(call, Some(Bucket::parse(&name).ok_or(DbError::Unreadable(WHOSE.file))?));
                    return Ok(());
                }
                Ok(None) => {}
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
    let ask = |number: &i64| {
        let number = *number;
        async move { (number, at(call, Home::Database(number)).batch(statements.to_vec()).await) }
    };
    join_all(databases.iter().map(ask)).await
}

/// A page of what all databases have, as its statement gives it: newest first, each with its id.
///
/// # Errors
/// If a database does not answer: a list that lacked its part would be wrong.
pub async fn page(call: &Call<'_>, page: Page, statement: Statement<'_>) -> Result<Vec<(i64, Box<RawValue>)>, DbError> {
    #[derive(Deserialize)]
    struct Item {
        id: i64,
    }
    let mut items = Vec::new();
    // While a bucket moves, two databases have what is in it. What the one that it moved to has is newer.
    for (_, answer) in everywhere(call, std::slice::from_ref(&statement)).await.into_iter().rev() {
        let answer = answer?;
        for (row, item) in answer.rows(0).iter().zip(answer.all::<Item>(0)?) {
            items.push((item.id, row.clone()));
        }
    }
    items.sort_by_key(|(id, _)| -id);
    items.dedup_by_key(|(id, _)| *id);
    items.truncate(usize::try_from(page.per_page).unwrap_or(usize::MAX));
    Ok(items)
}

/// A database as this request reaches it.
pub fn at<'a>(call: &Call<'a>, home: Home) -> Database<'a> {
    Database { home, ..call.database() }
}
