//! What an operation needs of its surroundings: a database, a clock, random bytes, a rate limiter, other services' keys.

use std::borrow::Cow;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::access::{Keyring, PublicKey};
use crate::buckets::{Known, Learned};
use crate::last_use::NotedToday;
use crate::recent::Recent;

/// A future of a single-threaded runtime.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A statement file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sql {
    /// Its name below `src/operations`, or below `src`: for the log.
    pub file: &'static str,
    /// The statement, without comments and indentation: they are for readers, and would be uploaded, and sent with every
    /// request. build.rs takes them away.
    pub text: &'static str,
}

/// The statement file of this name, which is its path below `src/operations`, or below `src`.
macro_rules! sql {
    ($file:literal) => {
        $crate::runtime::Sql { file: $file, text: include_str!(concat!(env!("OUT_DIR"), "/sql/", $file)) }
    };
}
pub(crate) use sql;

/// A value bound to a statement. D1 takes no integers from JavaScript, only doubles, so a statement must not depend on a
/// parameter's being an SQL integer (integer division, `json_object`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A whole number of at most 2^53 in size, which a double holds exactly.
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

/// A statement and its parameters, `?1` first. Each of its rows is one column named `row`: a JSON text.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
    /// The name of the file that it comes from, for the log.
    pub file: &'static str,
    /// The text.
    pub text: Cow<'static, str>,
    /// The parameters.
    pub params: Vec<Value<'a>>,
}

impl<'a> Statement<'a> {
    /// A statement file with its parameters.
    pub fn new(sql: Sql, params: Vec<Value<'a>>) -> Self {
        Self { file: sql.file, text: Cow::Borrowed(sql.text), params }
    }
}

/// The rows of a batch, statement by statement.
pub type Rows = Vec<Vec<Box<RawValue>>>;

/// Why a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbError {
    /// The connection or the database's host went away, or the answer is not D1's. The batch may have been committed.
    Transient,
    /// D1 has more to do than it can.
    Overloaded,
    /// The database is as large as it may be. Nothing was committed.
    Full,
    /// No answer within the deadline. The batch may have been committed.
    Deadline,
    /// The schema lacks the table, column or index of this name. [`crate::database`] finds out whether that is because of
    /// an upgrade.
    Missing(String),
    /// The schema has another version than this Worker expects, because an upgrade is under way.
    Upgrading,
    /// The schema has this version, which is older than the one that this Worker needs.
    SchemaTooOld(i64),
    /// The bucket is on its way to another database, and will be there in a moment. Nothing was committed.
    Moving,
    /// The bucket is in the database of this number, which this Worker does not have, or which knows nothing of it: its map or its
    /// bindings are wrong or old. Nothing was committed.
    Moved(i64),
    /// The binding of one database leads to another. Nothing was committed.
    OtherDatabase {
        /// The number that it is bound by.
        bound: i64,
        /// Its own number.
        is: i64,
    },
    /// A bug: the database refused a statement. The text names the statement files of the batch and the rule that they
    /// broke, and holds no value.
    Refused(String),
    /// A bug: a row of this statement file is not what the code expects.
    Unreadable(&'static str),
}

impl DbError {
    /// The name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transient => "d1_transient",
            Self::Overloaded => "d1_overloaded",
            Self::Full => "d1_full",
            Self::Deadline => "d1_deadline",
            Self::Upgrading => "d1_upgrading",
            Self::SchemaTooOld(_) => "d1_schema_too_old",
            Self::Moving => "d1_moving",
            Self::Moved(_) => "d1_moved",
            Self::OtherDatabase { .. } => "d1_other_database",
            Self::Missing(_) | Self::Refused(_) => "d1_refused",
            Self::Unreadable(_) => "d1_unreadable",
        }
    }

    /// What an operator needs to know beyond the name: never a value, never the database's own sentence.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::SchemaTooOld(version) => Some(crate::database::missing_migration(*version)),
            Self::Missing(what) | Self::Refused(what) => Some(what.clone()),
            Self::Unreadable(file) => Some((*file).to_owned()),
            Self::Moved(database) => Some(format!(
                "the bucket is not where the Worker looks for it: {database} is the number of its database. Bind that in wrangler.toml, \
                 write into BUCKETS what `estop admin buckets` prints, and run make deploy"
            )),
            Self::OtherDatabase { bound, is } => Some(format!(
                "the database bound with the number {bound} is number {is}: wrangler.toml has the names of two databases exchanged"
            )),
            Self::Transient | Self::Overloaded | Self::Full | Self::Deadline | Self::Upgrading | Self::Moving => None,
        }
    }

    /// Whether it is a fault of estop's, and not one that passes.
    pub fn is_bug(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Refused(_) | Self::Unreadable(_))
    }

    /// Whether asking again at once can help. Overload must not be answered with more load.
    pub fn is_worth_retrying(&self) -> bool {
        *self == Self::Transient
    }

    /// Classifies a D1 error by its message, as the D1 documentation ("Debug D1", error list) words them. An unknown one
    /// is taken to pass: the batch may have been committed, and repeating it is safe.
    pub fn from_message(message: &str) -> Self {
        const LOST: [&str; 4] = [
            // "D1 DB storage operation exceeded timeout which caused object to be reset" is an overload.
            "reset because its code was updated",
            "starting up D1 DB storage caused object to be reset",
            "Internal error in D1 DB storage caused object to be reset",
            "Network connection lost",
        ];
        // SQLite errors about the machine, not about the statement.
        const MACHINE: [&str; 7] = [
            "SQLITE_BUSY",
            "SQLITE_LOCKED",
            "SQLITE_IOERR",
            "SQLITE_INTERRUPT",
            "SQLITE_PROTOCOL",
            "SQLITE_CANTOPEN",
            "SQLITE_READONLY",
        ];
        const OVERLOADED: [&str; 5] = ["overloaded", "Too many requests", "exceeded", "Memory limit", "SQLITE_NOMEM"];
        const FULL: [&str; 2] = ["SQLITE_FULL", "Exceeded maximum DB size"];
        // The D1 client refuses what we give it, or there is no binding.
        const MISUSED: [&str; 3] = ["D1_TYPE_ERROR", "Wrong number of parameter bindings", "Cannot read properties of"];
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if has(&FULL) {
            Self::Full
        } else if has(&LOST) || has(&MACHINE) {
            Self::Transient
        } else if has(&MISUSED) {
            Self::Refused("not a call that D1 takes".to_owned())
        } else if let Some(name) = missing(message) {
            Self::Missing(name)
        } else if message.contains("the bucket is being moved") {
            Self::Moving
        } else if message.contains("SQLITE_CONSTRAINT") {
            Self::Refused(broken_rule(message))
        } else if has(&OVERLOADED) {
            Self::Overloaded
        } else if message.contains("SQLITE_") {
            Self::Refused("not a statement that this schema takes".to_owned())
        } else {
            Self::Transient
        }
    }
}

/// What the schema lacks, if that is what the message says: `no such column: k.valid_until`.
fn missing(message: &str) -> Option<String> {
    ["no such table: ", "no such column: ", "no such index: ", "has no column named "].iter().find_map(|what| {
        let (_, rest) = message.split_once(what)?;
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).collect();
        Some(format!("{what}{name}"))
    })
}

/// The rule of the schema that a statement broke: a constraint or a trigger's message, which are the schema's own text.
fn broken_rule(message: &str) -> String {
    let message = message.strip_prefix("D1_ERROR: ").unwrap_or(message);
    message.split(": SQLITE_CONSTRAINT").next().unwrap_or_default().to_owned()
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The requests of one key or one lease.
    Caller,
    /// The requests of one address that were refused for want of a credential, and those that need none.
    Refusals,
}

/// Runs that have changed, for the hub of their project to tell.
#[derive(Debug, Deserialize)]
pub struct News {
    /// The project.
    pub project: i64,
    /// A JSON array of them, which has at least one: the view `changed_runs` says what it has of each.
    pub runs: Box<RawValue>,
    /// Not 0 if there are deliveries that are to go out at once: of these runs, or left by another request.
    #[serde(default)]
    pub deliveries: u8,
}

/// An address, as the platform's own reader of URLs (WHATWG) understands it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Url {
    /// All of it, in its normal form.
    pub href: String,
    /// With its colon: `https:`.
    pub protocol: String,
    /// Lower case; an IPv4 address in any of its forms is four decimal numbers, and an IPv6 address is in brackets.
    pub hostname: String,
    /// The user's name, or nothing.
    pub username: String,
    /// The user's password, or nothing.
    pub password: String,
}

/// An object that is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its size.
    pub bytes: i64,
    /// The sizes of its members.
    pub lengths: Vec<i64>,
}

/// What an operation needs of its surroundings. On Workers it is `edge`; in native tests it is SQLite.
pub trait Runtime {
    /// The numbers of the databases, the smallest first: 0 is `DB`, n is `DB_n`.
    fn databases(&self) -> &[i64];

    /// What is known of buckets that have moved.
    fn learned(&self) -> &Learned;

    /// What is known of projects and their buckets.
    fn known(&self) -> &Known;

    /// Runs `statements` as one transaction in one round trip to the database of this number, which is one of
    /// [`Runtime::databases`], and gives up after `deadline` milliseconds.
    fn batch<'a>(
        &'a self,
        database: i64,
        statements: &'a [Statement<'a>],
        deadline: i64,
    ) -> LocalFuture<'a, Result<Rows, DbError>>;

    /// Waits for `span` milliseconds.
    fn sleep(&self, span: i64) -> LocalFuture<'_, ()>;

    /// Milliseconds on a clock that advances while the database is waited for.
    fn elapsed(&self) -> i64;

    /// Fills `bytes` with secure random bytes.
    fn random(&self, bytes: &mut [u8]);

    /// Counts one request of `who` against a limit; `false` if there were too many.
    fn within_rate<'a>(&'a self, limit: Limit, who: &'a str) -> LocalFuture<'a, bool>;

    /// Tells the hub what has changed in the database of this number, once the request is answered. It may fail, and nobody waits
    /// for it: what the hub says sooner, every heartbeat and every list says too.
    fn tell(&self, database: i64, news: Option<News>);

    /// Sends the deliveries of a database that are to go out at once, once the request is answered.
    fn deliver(&self, database: i64);

    /// Reads an address; `None` if it is none.
    fn parse_url(&self, text: &str) -> Option<Url>;

    /// The networks that sent too many requests that were refused.
    fn blocked(&self) -> &Recent;

    /// The keys (with their ids) and leases that were let in.
    fn accepted(&self) -> &Recent;

    /// The keys whose use today is noted.
    fn noted(&self) -> &NotedToday;

    /// Gets a text from another service; `None` if that does not give one of moderate length, at that very address, within
    /// a few seconds.
    fn get<'a>(&'a self, url: &'a str) -> LocalFuture<'a, Option<String>>;

    /// Whether `signature` is one of `signed` by this key: RS256 (RFC 7518 section 3.3).
    fn has_signed<'a>(&'a self, key: &'a PublicKey, signed: &'a str, signature: &'a [u8]) -> LocalFuture<'a, bool>;

    /// The keys of Cloudflare Access that were fetched.
    fn team_keys(&self) -> &Keyring;

    /// Whether there is a bucket for the archive.
    fn has_bucket(&self) -> bool;

    /// Puts an object into the bucket, unless it is there, and makes sure that it is: the members, each gzipped, under a key
    /// of this prefix and the hash of it all. `None` if the bucket does not take it, or gives no answer for many seconds.
    fn put_object<'a>(&'a self, prefix: &'a str, members: &'a [String]) -> LocalFuture<'a, Option<Stored>>;

    /// The member of an object that lies there; `None` if the bucket does not give it.
    fn get_member<'a>(&'a self, object: &'a str, offset: i64, length: i64) -> LocalFuture<'a, Option<String>>;

    /// The size of a database in bytes, as D1 told it last; `None` if it has not yet.
    fn database_bytes(&self, database: i64) -> Option<i64>;

    /// Whether a database's schema is known to be recent enough. It need only be checked once per isolate.
    fn schema_is_checked(&self, database: i64) -> bool;

    /// From now on a database's schema is known to be recent enough.
    fn set_schema_checked(&self, database: i64);
}

/// 128 random bits as a text, for request ids and lease tokens.
pub fn random_id(runtime: &dyn Runtime) -> String {
    use base64::Engine as _;
    let mut bytes = [0; 16];
    runtime.random(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_errors_are_classified_by_what_helps() {
        let refused = |rule: &str| DbError::Refused(rule.to_owned());
        let missing = |what: &str| DbError::Missing(what.to_owned());
        for (message, expected) in [
            ("D1_ERROR: Network connection lost.", DbError::Transient),
            ("D1 DB reset because its code was updated.", DbError::Transient),
            ("Cannot resolve D1 DB due to transient issue on remote node.", DbError::Transient),
            ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", DbError::Overloaded),
            ("D1 DB storage operation exceeded timeout which caused object to be reset.", DbError::Overloaded),
            ("D1_ERROR: database is locked: SQLITE_BUSY", DbError::Transient),
            ("D1_ERROR: unable to open database file: SQLITE_CANTOPEN", DbError::Transient),
            ("D1_ERROR: out of memory: SQLITE_NOMEM", DbError::Overloaded),
            ("D1_ERROR: database or disk is full: SQLITE_FULL", DbError::Full),
            ("D1_ERROR: Exceeded maximum DB size", DbError::Full),
            ("D1_TYPE_ERROR: Type 'bigint' not supported for value '1'", refused("not a call that D1 takes")),
            ("D1_ERROR: Wrong number of parameter bindings for SQL query.", refused("not a call that D1 takes")),
            ("Cannot read properties of undefined (reading 'prepare')", refused("not a call that D1 takes")),
            ("Unexpected token < in JSON at position 0", DbError::Transient),
            (
                "D1_ERROR: CHECK constraint failed: json_valid(tags): SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)",
                refused("CHECK constraint failed: json_valid(tags)"),
            ),
            ("D1_ERROR: a run is claimed once: SQLITE_CONSTRAINT", refused("a run is claimed once")),
            ("D1_ERROR: the bucket is being moved: SQLITE_CONSTRAINT", DbError::Moving),
            (
                "D1_ERROR: near \"secret\": syntax error at offset 3: SQLITE_ERROR",
                refused("not a statement that this schema takes"),
            ),
            ("D1_ERROR: no such table: runs: SQLITE_ERROR", missing("no such table: runs")),
            (
                "D1_ERROR: no such column: k.valid_until at offset 7: SQLITE_ERROR",
                missing("no such column: k.valid_until"),
            ),
        ] {
            assert_eq!(DbError::from_message(message), expected, "{message}");
        }
    }
}
