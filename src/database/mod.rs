//! Sends batches: with a deadline, and with retries where they help.
//!
//! Every batch is safe to repeat: its writes are guarded and carry a request id, so a repeat after a lost answer finds
//! its own work and recognises it.
//!
//! The first batch of an isolate also checks the schema's version, in the same round trip.

use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::key::KeyHash;
use crate::last_use::day;
use crate::runtime::{DbError, Rows, Runtime, Sql, Statement, sql};

/// The files in `migrations/`, oldest first. A schema's version is the number of its last one.
pub const MIGRATIONS: [&str; 18] = [
    "0001_initial",
    "0002_schema_version",
    "0003_generated_columns",
    "0004_environments_by_project",
    "0005_close_the_holes",
    "0006_shards",
    "0007_news",
    "0008_who_stopped_what",
    "0009_daily_runs",
    "0010_badges_and_admin_events",
    "0011_last_use_of_keys",
    "0012_closed_branches",
    "0013_told_at_less_cost",
    "0014_people",
    "0015_progress",
    "0016_webhooks",
    "0017_check_runs",
    "0018_archives",
];

/// The schema version that this Worker needs. It also works with a later one, as far as the statements do.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Aborts the batch if the schema is too old.
const CHECK_VERSION: Sql = sql!("database/check_version.sql");

/// Asks for the schema's version.
pub const ASK_VERSION: Sql = sql!("database/schema_version.sql");

/// Notes that a key is used.
const NOTE_USE: Sql = sql!("database/note_use.sql");

/// The statement that notes that a key is used today. It goes along with a request's own, after them.
pub fn note_use(key: &KeyHash, now: Timestamp) -> Statement<'_> {
    Statement::new(NOTE_USE, vec![key.as_str().into(), now.0.into(), day(now).into()])
}

/// The schema's version, as the database has it.
#[derive(Debug, Deserialize)]
pub struct Version {
    /// The number of the last migration.
    pub version: i64,
}

/// What the statements of a batch gave.
pub struct Answer {
    rows: Rows,
    files: Vec<&'static str>,
}

impl Answer {
    /// The rows of statement `index`, as they are.
    pub fn rows(&self, index: usize) -> &[Box<RawValue>] {
        self.rows.get(index).map_or(&[], Vec::as_slice)
    }

    /// Reads the first row of statement `index`, if it gave one.
    ///
    /// # Errors
    /// [`DbError::Unreadable`] if the row is not a `T`.
    pub fn first<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, DbError> {
        self.rows(index).first().map(|row| self.read(index, row)).transpose()
    }

    /// Reads the one row that statement `index` must give.
    ///
    /// # Errors
    /// [`DbError::Unreadable`] if there is none, or it is not a `T`.
    pub fn only<T: DeserializeOwned>(&self, index: usize) -> Result<T, DbError> {
        self.first(index)?.ok_or_else(|| self.unreadable(index))
    }

    /// Reads every row of statement `index`.
    ///
    /// # Errors
    /// [`DbError::Unreadable`] if one is not a `T`.
    pub fn all<T: DeserializeOwned>(&self, index: usize) -> Result<Vec<T>, DbError> {
        self.rows(index).iter().map(|row| self.read(index, row)).collect()
    }

    fn read<T: DeserializeOwned>(&self, index: usize, row: &RawValue) -> Result<T, DbError> {
        serde_json::from_str(row.get()).map_err(|_| self.unreadable(index))
    }

    fn unreadable(&self, index: usize) -> DbError {
        DbError::Unreadable(self.files.get(index).copied().unwrap_or_default())
    }
}

/// How often a batch is tried at most.
const ATTEMPTS: u32 = 4;
/// The longest pause before the first retry, in milliseconds; it doubles each time.
const FIRST_PAUSE: i64 = 50;

/// Runs a batch that is safe to repeat, and repeats it when the failure is one that passes: at most four times, with full
/// jitter, and within `deadline` milliseconds in all.
///
/// # Errors
/// The last failure; [`DbError::SchemaTooOld`] and [`DbError::Upgrading`] if the schema has another version than ours.
/// Nothing is written to a schema that is too old.
pub async fn batch(
    runtime: &dyn Runtime,
    mut statements: Vec<Statement<'_>>,
    deadline: i64,
) -> Result<Answer, DbError> {
    if !runtime.schema_is_checked() {
        statements.push(Statement::new(CHECK_VERSION, vec![SCHEMA_VERSION.into()]));
    }
    let begun = runtime.elapsed();
    match retried(runtime, &statements, deadline).await {
        Ok(rows) => {
            runtime.set_schema_checked();
            Ok(Answer { rows, files: statements.iter().map(|statement| statement.file).collect() })
        }
        Err(error @ (DbError::Missing(_) | DbError::Refused(_))) => {
            let left = (deadline - (runtime.elapsed() - begun)).max(1);
            Err(diagnose(runtime, &statements, error, left).await)
        }
        Err(error) => Err(error),
    }
}

async fn retried(runtime: &dyn Runtime, statements: &[Statement<'_>], deadline: i64) -> Result<Rows, DbError> {
    let begun = runtime.elapsed();
    let left = || deadline - (runtime.elapsed() - begun);
    let mut attempt = 1;
    loop {
        let error = match runtime.batch(statements, left().max(1)).await {
            Ok(rows) if rows.len() == statements.len() => return Ok(rows),
            Ok(_) => DbError::Transient,
            Err(error) => error,
        };
        let pause = jitter(runtime, FIRST_PAUSE << (attempt - 1));
        if !error.is_worth_retrying() || attempt == ATTEMPTS || pause >= left() {
            return Err(error);
        }
        runtime.sleep(pause).await;
        attempt += 1;
    }
}

/// Why the schema refused a batch: it has another version than ours, or a statement is wrong.
async fn diagnose(runtime: &dyn Runtime, statements: &[Statement<'_>], error: DbError, deadline: i64) -> DbError {
    let question = [Statement::new(ASK_VERSION, Vec::new())];
    let answer = retried(runtime, &question, deadline).await.map(|rows| Answer { rows, files: vec![ASK_VERSION.file] });
    match answer.and_then(|answer| answer.only(0)) {
        Ok(Version { version }) if version < SCHEMA_VERSION => DbError::SchemaTooOld(version),
        Ok(Version { version }) if version > SCHEMA_VERSION => DbError::Upgrading,
        // The schema of 0.1.0 has no version.
        Err(DbError::Missing(_)) => DbError::SchemaTooOld(1),
        Err(other) => other,
        Ok(_) => match error {
            DbError::Missing(what) | DbError::Refused(what) => {
                DbError::Refused(format!("{}: {what}", files(statements)))
            }
            other => other,
        },
    }
}

/// The files of a batch: D1 does not say which of its statements failed.
fn files(statements: &[Statement<'_>]) -> String {
    statements.iter().map(|statement| statement.file).collect::<Vec<_>>().join(", ")
}

/// What an operator has to do about a schema of this version.
pub fn missing_migration(version: i64) -> String {
    let next = usize::try_from(version).ok().and_then(|index| MIGRATIONS.get(index)).unwrap_or(&MIGRATIONS[0]);
    format!(
        "the schema has version {version} and this Worker needs {SCHEMA_VERSION}: migrations/{next}.sql is missing. \
         Run make deploy"
    )
}

/// A random span from 1 to `most` milliseconds.
fn jitter(runtime: &dyn Runtime, most: i64) -> i64 {
    let mut bytes = [0; 4];
    runtime.random(&mut bytes);
    1 + i64::from(u32::from_le_bytes(bytes)) % most
}
