//! Sends batches: with a deadline, and with retries where they help.
//!
//! Every batch is safe to repeat: its writes are guarded and carry a request id, so a repeat after a lost answer finds
//! its own work and recognises it.
//!
//! The first batch of an isolate to a database also checks the schema's version, in the same round trip. Where there are several
//! databases, each batch for a bucket also checks that the bucket is there, and follows it if it has moved.

pub mod error;

use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::buckets::{Bucket, State};
use crate::config::Config;
use crate::key::KeyHash;
use crate::last_use::day;
use crate::runtime::{DbError, News, Rows, Runtime, Sql, Statement, sql};

/// The files in `migrations/`, oldest first. A schema's version is the number of its last one.
pub const MIGRATIONS: [&str; 19] = [
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
    "0019_many_databases",
];

/// The schema version that this Worker needs. It also works with a later one, as far as the statements do.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Aborts the batch if the schema is too old.
const CHECK_VERSION: Sql = sql!("database/check_version.sql");

/// Gives a database its number.
const CLAIM_NUMBER: Sql = sql!("database/claim_number.sql");

/// Aborts the batch if the bucket is not in this database.
const CHECK_BUCKET: Sql = sql!("database/check_bucket.sql");

/// Asks a database what it knows of itself and of a bucket.
const WHEREABOUTS: Sql = sql!("database/whereabouts.sql");

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

/// What the check of the schema's version says beside that.
#[derive(Deserialize)]
struct Checked {
    /// Whether buckets have moved.
    moves: bool,
}

/// Where a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// To the database of this number, for all that it has.
    Database(i64),
    /// To the database that has this bucket, for what is in it.
    Bucket(Bucket),
}

impl Home {
    /// The first database, `DB`.
    pub const FIRST: Self = Self::Database(0);
}

/// A database as one reaches it.
#[derive(Clone, Copy)]
pub struct Database<'a> {
    /// The surroundings.
    pub runtime: &'a dyn Runtime,
    /// The settings.
    pub config: &'a Config,
    /// Which one.
    pub home: Home,
}

/// How often a batch follows a bucket that has moved.
const MOST_MOVES: u32 = 4;

impl Database<'_> {
    /// Its number, as far as this isolate knows.
    pub fn number(&self) -> i64 {
        match self.home {
            Home::Database(number) => number,
            Home::Bucket(bucket) => {
                self.runtime.learned().get(bucket).unwrap_or_else(|| self.config.buckets.database(bucket))
            }
        }
    }

    /// Tells the hub what has changed here: [`Runtime::tell`].
    pub fn tell(&self, news: Option<News>) {
        self.runtime.tell(self.number(), news);
    }

    /// Sends the deliveries of here that are to go out at once: [`Runtime::deliver`].
    pub fn deliver(&self) {
        self.runtime.deliver(self.number());
    }

    /// Runs a batch that is safe to repeat, and repeats it when the failure is one that passes: at most four times, with full
    /// jitter, and within the configured deadline in all. It follows a bucket that has moved, which takes two or three round trips more,
    /// once an isolate.
    ///
    /// # Errors
    /// The last failure; [`DbError::SchemaTooOld`] and [`DbError::Upgrading`] if the schema has another version than ours,
    /// [`DbError::Moving`] while the bucket is on its way, [`DbError::Moved`] if it is where this Worker has no database.
    /// Nothing is written to a schema that is too old, nor to a database that does not have the bucket.
    pub async fn batch(&self, statements: Vec<Statement<'_>>) -> Result<Answer, DbError> {
        let Database { runtime, config, home } = *self;
        let begun = runtime.elapsed();
        let mut moves = 0;
        loop {
            let number = self.number();
            if !runtime.databases().contains(&number) {
                return Err(DbError::Moved(number));
            }
            let left = (config.d1_deadline - (runtime.elapsed() - begun)).max(1);
            match (at(runtime, number, home, &statements, left).await, home) {
                (Err(DbError::Moved(to)), Home::Bucket(bucket)) if moves < MOST_MOVES && to != number => {
                    runtime.learned().learn(bucket, to);
                    moves += 1;
                }
                (outcome, _) => return outcome,
            }
        }
    }
}

/// Runs a batch in the database of this number.
async fn at(
    runtime: &dyn Runtime,
    database: i64,
    home: Home,
    statements: &[Statement<'_>],
    deadline: i64,
) -> Result<Answer, DbError> {
    let checked = runtime.checked(database);
    // Where there is one database, and always was, every bucket is there. Before that is known, nobody can say.
    let several = runtime.databases().len() > 1 || checked != Some(false);
    let bucket = match home {
        Home::Bucket(bucket) if several => Some(bucket),
        _ => None,
    };
    let mut sent = Vec::new();
    // First, as the ids of what comes after it follow from it.
    if checked.is_none() && database > 0 {
        sent.push(Statement::new(CLAIM_NUMBER, vec![database.into(), ((database << 44) - 1).into()]));
    }
    let before = sent.len();
    sent.extend_from_slice(statements);
    if let Some(bucket) = &bucket {
        sent.push(Statement::new(CHECK_BUCKET, vec![bucket.as_str().into(), database.into()]));
    }
    if checked.is_none() {
        sent.push(Statement::new(CHECK_VERSION, vec![SCHEMA_VERSION.into(), database.into()]));
    }
    let begun = runtime.elapsed();
    match retried(runtime, database, &sent, deadline).await {
        Ok(rows) => {
            let mut answer = Answer { rows, files: sent.iter().map(|statement| statement.file).collect() };
            if checked.is_none() {
                let Checked { moves } = answer.only(sent.len() - 1)?;
                runtime.set_checked(database, moves);
            }
            answer.rows.drain(..before);
            answer.files.drain(..before);
            Ok(answer)
        }
        Err(error @ (DbError::Missing(_) | DbError::Refused(_) | DbError::Moving)) => {
            let left = || (deadline - (runtime.elapsed() - begun)).max(1);
            // As long as its old rows are there, the schema refuses a write before the check of the bucket is reached.
            let error = match error {
                DbError::Moving => error,
                _ => diagnose(runtime, database, &sent, error, left()).await,
            };
            let may_be_elsewhere = matches!(error, DbError::Refused(_) | DbError::Moving);
            Err(if several && may_be_elsewhere {
                whereabouts(runtime, database, bucket, error, left()).await
            } else {
                error
            })
        }
        Err(error) => Err(error),
    }
}

async fn retried(
    runtime: &dyn Runtime,
    database: i64,
    statements: &[Statement<'_>],
    deadline: i64,
) -> Result<Rows, DbError> {
    let begun = runtime.elapsed();
    let left = || deadline - (runtime.elapsed() - begun);
    let mut attempt = 1;
    loop {
        let error = match runtime.batch(database, statements, left().max(1)).await {
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

/// Why the schema refused a batch: it has another version than ours, it is another database's, or a statement is wrong.
async fn diagnose(
    runtime: &dyn Runtime,
    database: i64,
    statements: &[Statement<'_>],
    error: DbError,
    deadline: i64,
) -> DbError {
    match ask(runtime, database, Statement::new(ASK_VERSION, Vec::new()), deadline).await {
        Ok(Some(Version { version })) if version < SCHEMA_VERSION => DbError::SchemaTooOld(version),
        Ok(Some(Version { version })) if version > SCHEMA_VERSION => DbError::Upgrading,
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

/// Why a batch was refused that no statement is wrong of: its bucket is not here, or this is another database. Else the error.
async fn whereabouts(
    runtime: &dyn Runtime,
    database: i64,
    bucket: Option<Bucket>,
    error: DbError,
    deadline: i64,
) -> DbError {
    #[derive(Deserialize)]
    struct Whereabouts {
        number: Option<i64>,
        state: Option<State>,
        moved_to: Option<i64>,
    }
    let question = Statement::new(WHEREABOUTS, vec![bucket.as_ref().map(Bucket::as_str).into()]);
    let known: Whereabouts = match ask(runtime, database, question, deadline).await {
        Ok(Some(known)) => known,
        Ok(None) => return error,
        Err(other) => return other,
    };
    if let Some(number) = known.number.filter(|number| *number != database) {
        return DbError::OtherDatabase { bound: database, is: number };
    }
    match (known.state, known.moved_to) {
        (Some(State::Moved), Some(to)) => DbError::Moved(to),
        (Some(State::Leaving | State::Arriving), _) => DbError::Moving,
        // The Worker's map has it where it never was. DB knows of every bucket.
        (None, _) if bucket.is_some() && database > 0 => DbError::Moved(0),
        _ => error,
    }
}

/// The first row of one statement.
async fn ask<T: DeserializeOwned>(
    runtime: &dyn Runtime,
    database: i64,
    question: Statement<'_>,
    deadline: i64,
) -> Result<Option<T>, DbError> {
    let files = vec![question.file];
    let rows = retried(runtime, database, &[question], deadline).await?;
    Answer { rows, files }.first(0)
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
