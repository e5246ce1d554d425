//! `POST /api/projects`: a project in a bucket that is chosen at random, for good.
//!
//! The directory, which is in `DB`, gives its id, and takes its slug. Where the bucket is in `DB` too, one transaction does it all.
//! Else there is a second one, in the bucket's database. What is in the directory and nowhere else, because nothing came of the second,
//! is created by whoever sends the request again, or wants the slug next.

use estop_protocol::limits::NAME_CHARS;
use estop_protocol::projects::CreateProjectRequest;
use serde_json::value::RawValue;

use super::one;
use crate::buckets::Bucket;
use crate::database::Home;
use crate::http::check::{slug, text};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::http::write_id::Mine;
use crate::operations::admin::Found;
use crate::operations::directory;
use crate::runtime::{DbError, Sql, Statement, Value, sql};

/// Creates a project.
pub const CREATE: Operation =
    Operation { method: Method::Post, pattern: "/api/projects", access: Access::Admin(|call| Box::pin(create(call))) };

const ENTER: Sql = sql!("admin/projects/create/enter.sql");
const INSERT: Sql = sql!("admin/projects/create/create.sql");
const DIAGNOSE: Sql = sql!("admin/projects/create/diagnose.sql");
const DIAGNOSE_THERE: Sql = sql!("admin/projects/create/diagnose_there.sql");

/// How many buckets are tried at most. One that is on its way, or whose database cannot be reached, is not the only one.
const TRIES: u32 = 4;

/// What came of it: the project's id, slug and bucket, whether it is of this very request, and the project itself, if it lives in the
/// database that was asked.
type Entry = (i64, String, String, Mine, Option<Box<RawValue>>);

async fn create(call: &Call<'_>) -> Outcome {
    let write_id = call.write_id()?;
    let CreateProjectRequest { name, slug: wanted, repo_name } = call.body()?;
    text("name", Some(&name), NAME_CHARS)?;
    slug("slug", &wanted)?;
    text("repo_name", repo_name.as_deref(), NAME_CHARS)?;
    let (wanted, id, hash) = (wanted.as_str(), write_id.id.as_str(), write_id.hash.as_str());
    let project = |number: Value<'static>, bucket| {
        let (name, repo_name) = (name.as_str().into(), repo_name.as_deref().into());
        let now = call.request.now.0.into();
        Statement::new(INSERT, vec![wanted.into(), name, repo_name, id.into(), hash.into(), now, number, bucket])
    };
    let mut tries = 1;
    let entry = loop {
        let mut bytes = [0; 4];
        call.runtime.random(&mut bytes);
        let bucket = Bucket::from_random(bytes);
        let entry = match is_open(call, bucket).await {
            Ok(()) => {
                let statements = vec![
                    Statement::new(ENTER, vec![wanted.into(), bucket.as_str().into(), id.into()]),
                    project(Value::Null, Value::Null),
                    Statement::new(DIAGNOSE, vec![wanted.into(), id.into(), hash.into()]),
                ];
                call.batch(statements).await?.first::<Entry>(2)?.ok_or(DbError::Moving)
            }
            Err(error) => Err(error),
        };
        match entry {
            Ok(entry) => break entry,
            Err(error) if tries == TRIES || error.is_bug() || error == DbError::Deadline => return Err(error.into()),
            Err(_) => tries += 1,
        }
    };
    let (number, ref entered, ref name, ..) = entry;
    let bucket = Bucket::parse(name).ok_or(DbError::Unreadable(DIAGNOSE.file))?;
    let (.., mine, item) = match &entry {
        (.., Some(_)) => entry,
        _ if entered != wanted => return Err(ApiError::ReusedKey),
        _ => {
            call.home.set(Home::Bucket(bucket));
            let there = Statement::new(DIAGNOSE_THERE, vec![number.into(), id.into(), hash.into()]);
            call.batch(vec![project(number.into(), name.as_str().into()), there]).await?.only(1)?
        }
    };
    let project = Found { mine, item }.created("a project")?;
    for name in [directory::named(number), wanted.to_owned()] {
        call.runtime.known().add(name, bucket);
    }
    Ok(Reply::data("created", one(&project)))
}

/// Asks the database of a bucket whether it takes a new project, unless that is `DB`, which is asked together with the directory.
async fn is_open(call: &Call<'_>, bucket: Bucket) -> Result<(), DbError> {
    let database = directory::at(call, Home::Bucket(bucket));
    if directory::several(call) && database.number() > 0 {
        database.batch(Vec::new()).await?;
    }
    Ok(())
}
