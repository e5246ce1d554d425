//! What the core asks of the place that it runs in, and how it asks the database: bounded, repeated where that is
//! safe, and never without a deadline.
//!
//! Every batch of [`crate::store`] is safe to repeat: its writes are guarded and carry a request id, so a repeat
//! after a lost answer finds its own work and recognises it.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value bound to a statement. The edge binds integers as doubles, the only number that D1 takes from JavaScript,
/// so statements must not depend on a parameter's being an SQL integer (integer division, `json_object`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A whole number of at most 2^53 in size.
    Integer(i64),
    /// A text.
    Text(&'a str),
}

impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One statement of [`crate::sql`] and its parameters, `?1` first. Each of its rows is one column: a JSON text.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
    /// The text.
    pub sql: Cow<'static, str>,
    /// The parameters.
    pub params: Vec<Value<'a>>,
}

impl<'a> Statement<'a> {
    /// Puts a statement and its parameters together.
    pub fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Value<'a>>) -> Self {
        Self { sql: sql.into(), params }
    }
}

/// Why the database did not answer. Its own words stay with it: neither a client nor a log gets to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbError {
    /// The connection or the database's host went away; whether the batch was committed is not known.
    Transient,
    /// D1 has more to do than it can.
    Overloaded,
    /// No answer within the deadline.
    Deadline,
    /// The database refused a statement: a broken rule of the schema, or no schema at all.
    Refused,
    /// An answer that makes no sense; whether the batch was committed is not known.
    Garbled,
}

impl DbError {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "d1_transient",
            Self::Overloaded => "d1_overloaded",
            Self::Deadline => "d1_deadline",
            Self::Refused => "d1_refused",
            Self::Garbled => "d1_garbled",
        }
    }

    /// Sorts a D1 error by its message, as the D1 documentation ("Debug D1", error list) words them.
    pub fn from_message(message: &str) -> Self {
        const TRANSIENT: [&str; 7] = [
            "Network connection lost",
            "reset because its code was updated",
            "starting up D1 DB storage caused object to be reset",
            "Internal error in D1 DB storage caused object to be reset",
            "Cannot resolve D1 DB due to transient issue",
            "client disconnected",
            "Internal error while starting up D1 DB storage",
        ];
        const OVERLOADED: [&str; 4] = ["overloaded", "Too many requests", "exceeded", "Memory limit"];
        const REFUSED: [&str; 2] = ["SQLITE_", "no such table"];
        let has = |words: &[&str]| words.iter().any(|w| message.contains(w));
        if has(&TRANSIENT) {
            Self::Transient
        } else if has(&OVERLOADED) {
            Self::Overloaded
        } else if has(&REFUSED) {
            Self::Refused
        } else {
            Self::Garbled
        }
    }

    /// Whether asking again at once can help. Overload must not be answered with more load.
    fn worth_repeating(self) -> bool {
        matches!(self, Self::Transient | Self::Garbled)
    }
}

/// The rows of a batch, statement by statement.
pub type Rows = Vec<Vec<String>>;

/// What the core needs from outside: the database, a clock for deadlines, chance, and the rate limiter.
pub trait Host {
    /// Runs `statements` as one transaction in one round trip, and gives up after `deadline` milliseconds.
    ///
    /// # Errors
    /// Any [`DbError`]. After `Transient`, `Deadline` and `Garbled` the batch may have been committed all the same.
    fn batch(&self, statements: &[Statement<'_>], deadline: i64) -> impl Future<Output = Result<Rows, DbError>>;

    /// Waits for `span` milliseconds.
    fn pause(&self, span: i64) -> impl Future<Output = ()>;

    /// Milliseconds on a clock that goes forward while the database is waited for.
    fn elapsed(&self) -> i64;

    /// Fills `bytes` with cryptographically secure chance.
    fn random(&self, bytes: &mut [u8]);

    /// Counts one request of `who` against the rate limit; `false` if there were too many.
    fn within_rate(&self, who: &str) -> impl Future<Output = bool>;
}

/// 128 random bits as a text, for request ids and lease tokens.
pub fn random_id(host: &impl Host) -> String {
    use base64::Engine as _;
    let mut bytes = [0; 16];
    host.random(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// How often a batch is tried at most.
const ATTEMPTS: u32 = 4;
/// The longest pause before the first repeat, in milliseconds; it doubles each time.
const FIRST_PAUSE: i64 = 50;

/// Runs a batch that is safe to repeat, and repeats it when the failure is one that passes: at most four
/// times, with full jitter, and within `deadline` milliseconds in all.
///
/// # Errors
/// The last failure.
pub async fn batch(host: &impl Host, statements: &[Statement<'_>], deadline: i64) -> Result<Rows, DbError> {
    let begun = host.elapsed();
    let mut left = deadline;
    let mut attempt = 0;
    loop {
        let error = match host.batch(statements, left.max(1)).await {
            Ok(rows) if rows.len() == statements.len() => return Ok(rows),
            Ok(_) => DbError::Garbled,
            Err(error) => error,
        };
        attempt += 1;
        let pause = jitter(host, FIRST_PAUSE << (attempt - 1));
        left = deadline - (host.elapsed() - begun);
        if !error.worth_repeating() || attempt == ATTEMPTS || pause >= left {
            return Err(error);
        }
        host.pause(pause).await;
        left = deadline - (host.elapsed() - begun);
    }
}

/// A random span from 1 to `most` milliseconds.
fn jitter(host: &impl Host, most: i64) -> i64 {
    let mut bytes = [0; 4];
    host.random(&mut bytes);
    1 + i64::from(u32::from_le_bytes(bytes)) % most
}

/// Reads the first row that statement `index` of a batch gave, if it gave one.
///
/// # Errors
/// [`DbError::Garbled`] if the row is not a `T`.
pub fn first<T: DeserializeOwned>(rows: &Rows, index: usize) -> Result<Option<T>, DbError> {
    rows.get(index).and_then(|r| r.first()).map(|row| decode(row)).transpose()
}

/// Reads the one row that statement `index` of a batch must give.
///
/// # Errors
/// [`DbError::Garbled`] if there is none, or it is not a `T`.
pub fn only<T: DeserializeOwned>(rows: &Rows, index: usize) -> Result<T, DbError> {
    first(rows, index)?.ok_or(DbError::Garbled)
}

/// Reads the last row that statement `index` of a batch gave, if it gave one.
///
/// # Errors
/// [`DbError::Garbled`] if the row is not a `T`.
pub fn last<T: DeserializeOwned>(rows: &Rows, index: usize) -> Result<Option<T>, DbError> {
    rows.get(index).and_then(|r| r.last()).map(|row| decode(row)).transpose()
}

/// Reads every row that statement `index` of a batch gave.
///
/// # Errors
/// [`DbError::Garbled`] if one is not a `T`.
pub fn all<T: DeserializeOwned>(rows: &Rows, index: usize) -> Result<Vec<T>, DbError> {
    rows.get(index).into_iter().flatten().map(|row| decode(row)).collect()
}

fn decode<T: DeserializeOwned>(row: &str) -> Result<T, DbError> {
    serde_json::from_str(row).map_err(|_| DbError::Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_errors_are_sorted_by_what_helps() {
        for (message, expected) in [
            ("D1_ERROR: Network connection lost.", DbError::Transient),
            ("D1 DB reset because its code was updated.", DbError::Transient),
            ("Cannot resolve D1 DB due to transient issue on remote node.", DbError::Transient),
            ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", DbError::Overloaded),
            ("D1 DB storage operation exceeded timeout which caused object to be reset.", DbError::Overloaded),
            ("D1_ERROR: CHECK constraint failed: SQLITE_CONSTRAINT", DbError::Refused),
            ("D1_ERROR: no such table: runs: SQLITE_ERROR", DbError::Refused),
            ("Unexpected token < in JSON at position 0", DbError::Garbled),
        ] {
            assert_eq!(DbError::from_message(message), expected, "{message}");
        }
    }
}
