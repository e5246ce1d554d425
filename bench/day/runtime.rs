//! A database with one writer: the core's runtime over a SQLite file, on the simulation's clock. It counts how long the writer is
//! busy, minute by minute.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{Duration, Instant};

use estop::access::{Keyring, PublicKey};
use estop::buckets::{Known, Learned};
use estop::last_use::NotedToday;
use estop::recent::Recent;
use estop::runtime::{DbError, Limit, LocalFuture, News, Rows, Runtime, Statement, Stored, Url, Value};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OpenFlags};
use serde_json::value::RawValue;

use super::MINUTE;
use crate::random::Random;

/// What the writer did in a minute.
#[derive(Debug, Default, Clone, Copy)]
pub struct Work {
    /// Batches, which read or write, and the statements in them.
    pub batches: u32,
    pub statements: u32,
    /// How long SQLite took for them here.
    pub took: Duration,
}

pub struct Writer {
    pub db: RefCell<Connection>,
    /// Its number, and those of all.
    number: i64,
    numbers: Vec<i64>,
    learned: Learned,
    known: Known,
    /// What time it is (ms), and when the day began.
    pub now: Cell<i64>,
    begun: i64,
    pub minutes: RefCell<Vec<Work>>,
    /// What the hub was told and has not passed on.
    pub told: RefCell<Vec<News>>,
    random: RefCell<Random>,
    schema_is_checked: Cell<bool>,
    blocked: Recent,
    accepted: Recent,
    noted: NotedToday,
    team_keys: Keyring,
}

struct Bound<'a>(&'a Value<'a>);
impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::from(rusqlite::types::Null),
            #[expect(clippy::cast_precision_loss, reason = "as the edge binds them")]
            Value::Integer(n) => ToSqlOutput::from(*n as f64),
            Value::Text(text) => ToSqlOutput::from(*text),
        })
    }
}

impl Writer {
    /// An empty database with the schema, in a new file.
    pub fn new(file: &Path, number: u8, begun: i64, seed: u64) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(file, flags).expect("a file");
        // Nobody else opens it, and it does not outlive the process: nothing waits for locks or for the disk.
        const ALONE: &str = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000";
        db.execute_batch(ALONE).expect("pragmas");
        db.pragma_update(None, "foreign_keys", true).expect("a pragma");
        // Otherwise a statement is prepared again whenever it gets other values.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
        db.set_prepared_statement_cache_capacity(100);
        db.execute_batch(include_str!("../../schema.sql")).expect("the schema");
        Self {
            db: RefCell::new(db),
            number: i64::from(number),
            numbers: (0..i64::from(super::plan::MOST)).collect(),
            learned: Learned::default(),
            known: Known::default(),
            now: Cell::new(begun),
            begun,
            minutes: RefCell::default(),
            told: RefCell::default(),
            random: RefCell::new(Random(seed)),
            schema_is_checked: Cell::new(false),
            blocked: Recent::default(),
            accepted: Recent::default(),
            noted: NotedToday::default(),
            team_keys: Keyring::default(),
        }
    }

    fn commit(&self, statements: &[Statement<'_>]) -> rusqlite::Result<Rows> {
        let mut db = self.db.borrow_mut();
        let transaction = db.transaction()?;
        let mut rows = Rows::new();
        for statement in statements {
            let mut prepared = transaction.prepare_cached(&statement.text)?;
            let params = rusqlite::params_from_iter(statement.params.iter().map(Bound));
            if prepared.column_count() > 0 {
                let found = prepared.query_map(params, |row| row.get::<_, String>(0))?;
                let json = |row: String| RawValue::from_string(row).expect("JSON");
                rows.push(found.map(|row| row.map(json)).collect::<Result<_, _>>()?);
            } else {
                prepared.execute(params)?;
                rows.push(Vec::new());
            }
        }
        transaction.commit()?;
        Ok(rows)
    }

    fn count(&self, statements: usize, took: Duration) {
        let minute = usize::try_from((self.now.get() - self.begun) / MINUTE).expect("after the beginning");
        let mut minutes = self.minutes.borrow_mut();
        if minutes.len() <= minute {
            minutes.resize(minute + 1, Work::default());
        }
        minutes[minute].batches += 1;
        minutes[minute].statements += u32::try_from(statements).expect("few");
        minutes[minute].took += took;
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
pub fn clock() -> Instant {
    Instant::now()
}

impl Runtime for Writer {
    fn databases(&self) -> &[i64] {
        &self.numbers
    }

    fn learned(&self) -> &Learned {
        &self.learned
    }

    fn known(&self) -> &Known {
        &self.known
    }

    /// There are no replicas.
    fn read_as_of(&self, _database: i64, _seen: &str) {}

    fn batch<'a>(
        &'a self,
        database: i64,
        statements: &'a [Statement<'a>],
        _deadline: i64,
    ) -> LocalFuture<'a, Result<Rows, DbError>> {
        assert_eq!(database, self.number, "nothing of its projects goes to another database");
        let begun = clock();
        // Nothing is done here that the schema refuses.
        let rows = self.commit(statements).unwrap_or_else(|error| panic!("{error}\n{statements:#?}"));
        self.count(statements.len(), begun.elapsed());
        Box::pin(async { Ok(rows) })
    }

    fn sleep(&self, _span: i64) -> LocalFuture<'_, ()> {
        unreachable!("every batch is answered at once")
    }

    fn elapsed(&self) -> i64 {
        self.now.get()
    }

    /// Not random, but never the same twice.
    fn random(&self, bytes: &mut [u8]) {
        let mut random = self.random.borrow_mut();
        for chunk in bytes.chunks_mut(8) {
            let word = random.below(u64::MAX).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn within_rate<'a>(&'a self, _limit: Limit, _who: &'a str) -> LocalFuture<'a, bool> {
        Box::pin(async { true })
    }

    fn tell(&self, _database: i64, news: Option<News>) {
        self.told.borrow_mut().extend(news);
    }

    /// No project here has a webhook.
    fn deliver(&self, _database: i64) {}

    fn parse_url(&self, _text: &str) -> Option<Url> {
        None
    }

    fn blocked(&self) -> &Recent {
        &self.blocked
    }

    fn accepted(&self) -> &Recent {
        &self.accepted
    }

    fn noted(&self) -> &NotedToday {
        &self.noted
    }

    /// Nobody signs in here.
    fn get<'a>(&'a self, _url: &'a str) -> LocalFuture<'a, Option<String>> {
        Box::pin(async { None })
    }

    fn has_signed<'a>(&'a self, _key: &'a PublicKey, _signed: &'a str, _signature: &'a [u8]) -> LocalFuture<'a, bool> {
        Box::pin(async { false })
    }

    fn team_keys(&self) -> &Keyring {
        &self.team_keys
    }

    /// A day is too short for the archive; `make scale` measures its step.
    fn has_bucket(&self) -> bool {
        false
    }

    fn put_object<'a>(&'a self, _prefix: &'a str, _members: &'a [String]) -> LocalFuture<'a, Option<Stored>> {
        Box::pin(async { None })
    }

    fn get_member<'a>(&'a self, _object: &'a str, _offset: i64, _length: i64) -> LocalFuture<'a, Option<String>> {
        Box::pin(async { None })
    }

    fn database_bytes(&self, _database: i64) -> Option<i64> {
        None
    }

    fn checked(&self, _database: i64) -> Option<bool> {
        self.schema_is_checked.get().then_some(false)
    }

    fn set_checked(&self, _database: i64, _moves: bool) {
        self.schema_is_checked.set(true);
    }
}
