//! The directory of projects, which is in `DB`: it says in which bucket a project lives.

use crate::buckets::Bucket;
use crate::database::Home;
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::runtime::{DbError, Sql, Statement, sql};

const BUCKET: Sql = sql!("admin/directory/bucket.sql");

/// The bucket of a project.
///
/// # Errors
/// 404 if there is no such project, or as [`crate::database::Database::batch`].
pub async fn bucket(call: &Call<'_>, project: i64) -> Result<Bucket, ApiError> {
    call.home.set(Home::FIRST);
    let found: Option<String> = call.batch(vec![Statement::new(BUCKET, vec![project.into()])]).await?.first(0)?;
    let name = found.ok_or(ApiError::NotFound("project"))?;
    Ok(Bucket::parse(&name).ok_or(DbError::Unreadable(BUCKET.file))?)
}
