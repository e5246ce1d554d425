//! SQLite in D1's place: the core's runtime in these tests.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read as _, Write as _};

use estop::access::{Keyring, PublicKey};
use estop::buckets::{Known, Learned};
use estop::last_use::NotedToday;
use estop::recent::Recent;
use estop::runtime::{DbError, Limit, LocalFuture, News, Rows, Runtime, Statement, Stored, Url, Value};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit as SqliteLimit;
use rusqlite::types::{ToSql, ToSqlOutput};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// What the database does to one batch instead of answering it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    BeforeCommit(DbError),
    AfterCommit(DbError),
}

/// SQLite as D1 runs it: every number arrives as a double, foreign keys are on, functions take at most 32 arguments, and a UNION five terms.
pub struct SqliteRuntime {
    /// `DB`.
    pub db: RefCell<Connection>,
    /// The databases of greater numbers.
    more: BTreeMap<i64, RefCell<Connection>>,
    numbers: Vec<i64>,
    /// Those that give no answer.
    pub dead: RefCell<BTreeSet<i64>>,
    pub faults: RefCell<VecDeque<Fault>>,
    /// How many batches go well before the faults begin.
    pub after: Cell<u32>,
    pub batches: Cell<u32>,
    elapsed: Cell<i64>,
    random: Cell<u64>,
    unchecked: RefCell<BTreeSet<i64>>,
    moves: RefCell<BTreeSet<i64>>,
    learned: Learned,
    known: Known,
    /// What was to be read as of when.
    pub read_as_of: RefCell<Option<(i64, String)>>,
    blocked: Recent,
    accepted: Recent,
    noted: NotedToday,
    team_keys: Keyring,
    /// What Cloudflare Access says of its keys, if it answers, and how often it was asked.
    pub certs: RefCell<Option<String>>,
    pub certs_asked: Cell<u32>,
    /// What was counted, and against which limit.
    pub counted: RefCell<Vec<(Limit, String)>>,
    /// How many requests pass each limit.
    pub limits: Cell<[usize; 2]>,
    /// What the hub was told.
    pub told: RefCell<Vec<News>>,
    /// Whether there are deliveries that are to go out at once.
    pub delivers: Cell<bool>,
    /// The bucket for the archive, if there is one.
    pub bucket: RefCell<Option<BTreeMap<String, Vec<u8>>>>,
    /// What the bucket does next instead of answering: whether it has taken the object all the same.
    pub bucket_faults: RefCell<VecDeque<bool>>,
    /// What happens to the database while the bucket takes an object.
    pub during_put: RefCell<Option<&'static str>>,
    /// What happens before the batch after so many more.
    pub before_batch: RefCell<Option<(u32, Meanwhile)>>,
    /// How often the bucket was read.
    pub bucket_reads: Cell<u32>,
}

/// What somebody else does in the middle of a request.
pub type Meanwhile = Box<dyn FnOnce(&SqliteRuntime)>;

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

/// SQLite as D1 has it, empty.
pub fn empty_database() -> Connection {
    let db = Connection::open_in_memory().expect("SQLite");
    db.set_limit(SqliteLimit::SQLITE_LIMIT_FUNCTION_ARG, 32).expect("a limit");
    db.set_limit(SqliteLimit::SQLITE_LIMIT_COMPOUND_SELECT, 5).expect("a limit");
    db.set_limit(SqliteLimit::SQLITE_LIMIT_EXPR_DEPTH, 100).expect("a limit");
    db.set_limit(SqliteLimit::SQLITE_LIMIT_SQL_LENGTH, 100_000).expect("a limit");
    db.pragma_update(None, "foreign_keys", true).expect("a pragma");
    // Otherwise a statement is prepared again whenever it gets other values, in case another plan suits those better.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
    // More than a test uses: to prepare them again would be most of its time.
    db.set_prepared_statement_cache_capacity(100);
    db
}

/// What stands for a signature here. tests/rig/access.rs has real ones.
pub fn signature_of(n: &str, signed: &str) -> [u8; 32] {
    Sha256::digest(format!("{n} {signed}")).into()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("short")
}

impl SqliteRuntime {
    pub fn on(db: Connection) -> Self {
        Self {
            db: RefCell::new(db),
            more: BTreeMap::new(),
            numbers: vec![0],
            dead: RefCell::default(),
            faults: RefCell::default(),
            after: Cell::new(0),
            batches: Cell::new(0),
            elapsed: Cell::new(0),
            random: Cell::new(0x9e37_79b9_7f4a_7c15),
            // Known, so that a batch has only its own statements; tests/native/migrations.rs has it unknown.
            unchecked: RefCell::default(),
            moves: RefCell::default(),
            learned: Learned::default(),
            known: Known::default(),
            read_as_of: RefCell::default(),
            blocked: Recent::default(),
            accepted: Recent::default(),
            noted: NotedToday::default(),
            team_keys: Keyring::default(),
            certs: RefCell::default(),
            certs_asked: Cell::new(0),
            counted: RefCell::default(),
            limits: Cell::new([usize::MAX; 2]),
            told: RefCell::default(),
            delivers: Cell::new(false),
            bucket: RefCell::default(),
            bucket_faults: RefCell::default(),
            during_put: RefCell::default(),
            before_batch: RefCell::default(),
            bucket_reads: Cell::new(0),
        }
    }

    /// With databases of these numbers beside `DB`, empty but for the schema.
    pub fn with_more(mut self, numbers: impl IntoIterator<Item = i64>) -> Self {
        for number in numbers {
            let db = empty_database();
            db.execute_batch(crate::world::SCHEMA).expect("the schema");
            self.more.insert(number, RefCell::new(db));
            self.unchecked.get_mut().insert(number);
        }
        self.numbers.extend(self.more.keys());
        self
    }

    /// The database of this number.
    pub fn numbered(&self, database: i64) -> &RefCell<Connection> {
        if database == 0 { &self.db } else { &self.more[&database] }
    }

    pub fn forget_schema(&self) {
        self.unchecked.borrow_mut().insert(0);
    }

    /// As in an isolate that has just begun.
    pub fn forget_all(&mut self) {
        self.unchecked.get_mut().extend(&self.numbers);
        self.learned = Learned::default();
        self.known = Known::default();
    }

    fn commit(&self, database: i64, statements: &[Statement<'_>]) -> rusqlite::Result<Rows> {
        let mut db = self.numbered(database).borrow_mut();
        // A transaction, also within one of the test's own (`World::undone`).
        let transaction = db.savepoint()?;
        let mut rows = Rows::new();
        for statement in statements {
            let mut prepared = transaction.prepare_cached(&statement.text)?;
            let returns_rows = prepared.column_count() > 0;
            let params = rusqlite::params_from_iter(statement.params.iter().map(Bound));
            if returns_rows {
                let found = prepared.query_map(params, |row| row.get::<_, String>("row"))?;
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

    fn answer(&self, database: i64, statements: &[Statement<'_>]) -> Result<Rows, DbError> {
        self.batches.set(self.batches.get() + 1);
        self.elapsed.set(self.elapsed.get() + 1);
        if self.dead.borrow().contains(&database) {
            return Err(DbError::Deadline);
        }
        let well = self.after.get();
        self.after.set(well.saturating_sub(1));
        let fault = if well > 0 { None } else { self.faults.borrow_mut().pop_front() };
        if let Some(Fault::BeforeCommit(error)) = fault {
            return Err(error);
        }
        let rows = self.commit(database, statements).map_err(|error| match error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                let code = match failure.code {
                    rusqlite::ErrorCode::ConstraintViolation => "CONSTRAINT",
                    rusqlite::ErrorCode::DiskFull => "FULL",
                    _ => "ERROR",
                };
                DbError::from_message(&format!("D1_ERROR: {}: SQLITE_{code}", message.unwrap_or_default()))
            }
            rusqlite::Error::SqlInputError { msg, .. } => {
                DbError::from_message(&format!("D1_ERROR: {msg}: SQLITE_ERROR"))
            }
            other => panic!("{other}\n{statements:#?}"),
        })?;
        match fault {
            Some(Fault::AfterCommit(error)) => Err(error),
            _ => Ok(rows),
        }
    }
}

impl Runtime for SqliteRuntime {
    fn databases(&self) -> &[i64] {
        &self.numbers
    }

    fn read_as_of(&self, database: i64, seen: &str) {
        *self.read_as_of.borrow_mut() = Some((database, seen.to_owned()));
    }

    fn learned(&self) -> &Learned {
        &self.learned
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn batch<'a>(
        &'a self,
        database: i64,
        statements: &'a [Statement<'a>],
        _deadline: i64,
    ) -> LocalFuture<'a, Result<Rows, DbError>> {
        Box::pin(async move {
            let meanwhile = self.before_batch.take();
            match meanwhile {
                Some((0, happens)) => happens(self),
                Some((batches, happens)) => *self.before_batch.borrow_mut() = Some((batches - 1, happens)),
                None => {}
            }
            self.answer(database, statements)
        })
    }

    fn sleep(&self, span: i64) -> LocalFuture<'_, ()> {
        self.elapsed.set(self.elapsed.get() + span);
        Box::pin(async {})
    }

    fn elapsed(&self) -> i64 {
        self.elapsed.get()
    }

    /// Not random, but never the same twice (splitmix64).
    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let seed = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.random.set(seed);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (mixed ^ (mixed >> 27)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn within_rate<'a>(&'a self, limit: Limit, who: &'a str) -> LocalFuture<'a, bool> {
        let one = (limit, who.to_owned());
        let mut counted = self.counted.borrow_mut();
        counted.push(one.clone());
        let within = counted.iter().filter(|other| **other == one).count() <= self.limits.get()[limit as usize];
        Box::pin(async move { within })
    }

    fn tell(&self, database: i64, news: Option<News>) {
        if news.as_ref().is_some_and(|news| news.deliveries > 0) {
            self.deliver(database);
        }
        self.told.borrow_mut().extend(news);
    }

    fn deliver(&self, _database: i64) {
        self.delivers.set(true);
    }

    /// The `url` crate reads as browsers and Workers do (WHATWG).
    fn parse_url(&self, text: &str) -> Option<Url> {
        let url = url::Url::parse(text).ok()?;
        Some(Url {
            href: url.as_str().to_owned(),
            protocol: format!("{}:", url.scheme()),
            hostname: url.host_str().unwrap_or_default().to_owned(),
            username: url.username().to_owned(),
            password: url.password().unwrap_or_default().to_owned(),
        })
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

    fn get<'a>(&'a self, url: &'a str) -> LocalFuture<'a, Option<String>> {
        assert_eq!(url, "https://team.example/cdn-cgi/access/certs");
        self.certs_asked.set(self.certs_asked.get() + 1);
        Box::pin(async { self.certs.borrow().clone() })
    }

    fn has_signed<'a>(&'a self, key: &'a PublicKey, signed: &'a str, signature: &'a [u8]) -> LocalFuture<'a, bool> {
        Box::pin(async move { signature == signature_of(&key.n, signed) })
    }

    fn team_keys(&self) -> &Keyring {
        &self.team_keys
    }

    fn has_bucket(&self) -> bool {
        self.bucket.borrow().is_some()
    }

    fn put_object<'a>(&'a self, prefix: &'a str, members: &'a [String]) -> LocalFuture<'a, Option<Stored>> {
        Box::pin(async move {
            let parts: Vec<Vec<u8>> = members.iter().map(|text| gzip(text)).collect();
            let object = parts.concat();
            let sha256 = base16ct::lower::encode_string(&Sha256::digest(&object));
            let key = format!("{prefix}{sha256}.ndjson.gz");
            let (bytes, lengths) = (length(&object), parts.iter().map(|part| length(part)).collect());
            if let Some(sql) = self.during_put.take() {
                self.db.borrow().execute_batch(sql).expect(sql);
            }
            let fault = self.bucket_faults.borrow_mut().pop_front();
            if fault != Some(false) {
                self.bucket.borrow_mut().as_mut()?.entry(key.clone()).or_insert(object);
            }
            fault.is_none().then_some(Stored { key, sha256, bytes, lengths })
        })
    }

    fn get_member<'a>(&'a self, object: &'a str, offset: i64, length: i64) -> LocalFuture<'a, Option<String>> {
        self.bucket_reads.set(self.bucket_reads.get() + 1);
        Box::pin(async move {
            let bucket = self.bucket.borrow();
            let (from, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
            let member = bucket.as_ref()?.get(object)?.get(from..from + length)?;
            let mut text = String::new();
            // A single member: what follows it would be left over.
            let mut decoder = flate2::bufread::GzDecoder::new(member);
            decoder.read_to_string(&mut text).ok()?;
            decoder.into_inner().is_empty().then_some(text)
        })
    }

    fn database_bytes(&self, database: i64) -> Option<i64> {
        if !self.numbers.contains(&database) {
            return None;
        }
        let db = self.numbered(database).borrow();
        db.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| row.get(0))
            .ok()
    }

    fn checked(&self, database: i64) -> Option<bool> {
        (!self.unchecked.borrow().contains(&database)).then(|| self.moves.borrow().contains(&database))
    }

    fn set_checked(&self, database: i64, moves: bool) {
        self.unchecked.borrow_mut().remove(&database);
        if moves {
            self.moves.borrow_mut().insert(database);
        }
    }
}
