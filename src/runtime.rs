//! What an operation needs of its surroundings: a database, a clock, random bytes, a rate limiter, other services' keys.

use std::borrow::Cow;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::access::{Keyring, PublicKey};
use crate::buckets::{Known, Learned};
pub use crate::database::error::DbError;
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

/// Whatever the nearest replica has seen (D1's constraint for a session).
pub const ANY: &str = "first-unconstrained";

/// All that was written so far (D1's constraint for a session).
pub const LATEST: &str = "first-primary";

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

    /// Where there are replicas, the batches from now on may be answered by one that has seen as much of this database: a bookmark
    /// of D1's, [`ANY`] or [`LATEST`]. Until then, and for other databases, it is [`LATEST`].
    fn read_as_of(&self, database: i64, seen: &str);

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

    /// `None` until a database's schema is known to be recent enough, which need only be checked once per isolate; then whether buckets
    /// have moved away from it.
    fn checked(&self, database: i64) -> Option<bool>;

    /// From now on a database's schema is known to be recent enough, and whether buckets have moved away.
    fn set_checked(&self, database: i64, moves: bool);
}

/// 128 random bits as a text, for request ids and lease tokens.
pub fn random_id(runtime: &dyn Runtime) -> String {
    use base64::Engine as _;
    let mut bytes = [0; 16];
    runtime.random(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
