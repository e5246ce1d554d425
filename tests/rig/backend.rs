//! A D1 of our own: SQLite behind the protocol that the runtime's D1 client speaks (workerd's `d1-api.ts`). It counts,
//! dawdles and fails as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use crate::http::{self, Reply};

/// What happens to a batch instead of a plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error in D1's words, and nothing is committed.
    ErrorBefore(&'static str),
    /// Committed, and then an error in D1's words.
    ErrorAfter(&'static str),
    /// Committed, and the socket is closed without an answer.
    ClosedAfter,
    /// Committed, and the answer is not JSON.
    GarbledAfter,
    /// Committed, and each row is one that nobody expects.
    OddRowsAfter,
    /// Committed, and each row is NULL.
    NoRowsAfter,
    /// Neither committed nor answered, ever.
    SilentBefore,
    /// Committed, and never answered.
    SilentAfter,
}

impl Fault {
    pub fn commits(self) -> bool {
        !matches!(self, Self::ErrorBefore(_) | Self::SilentBefore)
    }
}

/// The database and what was asked of it. Clones share it.
#[derive(Clone)]
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    db: Mutex<Connection>,
    /// A copy of some moment, and which that was.
    replica: Mutex<Option<(Connection, u64)>>,
    /// How many batches that write it has committed.
    moment: AtomicU64,
    /// How many batches the copy has answered.
    lagged: AtomicU32,
    /// How many batches go well before the fault, the fault, and for how many batches more.
    fault: Mutex<Option<(u32, Fault, u32)>>,
    /// How the statement begins whose batches are answered as ever, and not counted.
    spared: Mutex<Option<&'static str>>,
    /// What it says of its size, in bytes.
    size: AtomicU64,
    trips: AtomicU32,
    statements: AtomicU32,
    /// How long a batch takes at least, in microseconds.
    lag: AtomicU64,
    /// At most, each way; in microseconds.
    latency: AtomicU64,
    random: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while it held the lock must not fail the others as well.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend {
    pub fn start() -> Self {
        let db = Connection::open_in_memory().expect("SQLite");
        // As D1 has it.
        db.set_limit(Limit::SQLITE_LIMIT_FUNCTION_ARG, 32).expect("a limit");
        db.set_limit(Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5).expect("a limit");
        db.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, 100).expect("a limit");
        db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000).expect("a limit");
        db.pragma_update(None, "foreign_keys", true).expect("a pragma");
        db.execute_batch(include_str!("../../schema.sql")).expect("the schema");
        db.set_prepared_statement_cache_capacity(64);
        let shared = Arc::new(Shared {
            db: Mutex::new(db),
            replica: Mutex::default(),
            moment: AtomicU64::new(1),
            lagged: AtomicU32::new(0),
            fault: Mutex::default(),
            spared: Mutex::default(),
            size: AtomicU64::new(0),
            trips: AtomicU32::new(0),
            statements: AtomicU32::new(0),
            lag: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            random: AtomicU64::new(1),
        });
        let serving = Arc::clone(&shared);
        let address = http::serve(move |request| serving.answer_in_session(request));
        Self { address, shared }
    }

    /// From now on a replica answers what may be a moment old, as everything is now.
    pub fn replicate(&self) {
        let file = std::env::temp_dir().join(format!("estop-replica-{}-{}", std::process::id(), self.address.port()));
        self.db().execute("VACUUM INTO ?1", [file.to_string_lossy()]).expect("a copy");
        let copy = Connection::open(&file).expect("the copy");
        std::fs::remove_file(&file).expect("a file that is open");
        *lock(&self.shared.replica) = Some((copy, self.shared.moment.load(Ordering::Relaxed)));
    }

    /// How many batches the replica has answered since the last call.
    pub fn lagged(&self) -> u32 {
        self.shared.lagged.swap(0, Ordering::Relaxed)
    }

    /// Lets `fault` happen to the next `times` batches.
    pub fn inject(&self, fault: Fault, times: u32) {
        self.inject_after(0, fault, times);
    }

    /// The same, after so many that go well.
    pub fn inject_after(&self, well: u32, fault: Fault, times: u32) {
        *lock(&self.shared.fault) = Some((well, fault, times));
    }

    /// From now on, batches whose first statement begins like this are spared: no fault happens to them, and none is counted.
    /// They are what the Worker does by itself once a request is answered.
    pub fn spare(&self, beginning: &'static str) {
        *lock(&self.shared.spared) = Some(beginning);
    }

    /// From now on it is so large, as it says.
    pub fn pretend_size(&self, bytes: u64) {
        self.shared.size.store(bytes, Ordering::Relaxed);
    }

    /// Ends what [`Self::inject`] began.
    pub fn heal(&self) {
        *lock(&self.shared.fault) = None;
    }

    /// Lets each batch take up to `most` on its way here, and again on its way back.
    pub fn dawdle(&self, most: Duration) {
        self.shared.latency.store(u64::try_from(most.as_micros()).expect("short"), Ordering::Relaxed);
    }

    /// Lets each batch take this much longer, always.
    #[allow(dead_code, reason = "the benchmark's, which shares this file")]
    pub fn lag(&self, span: Duration) {
        self.shared.lag.store(u64::try_from(span.as_micros()).expect("short"), Ordering::Relaxed);
    }

    /// Round trips and statements since the last call.
    pub fn count(&self) -> (u32, u32) {
        (self.shared.trips.swap(0, Ordering::Relaxed), self.shared.statements.swap(0, Ordering::Relaxed))
    }

    /// The database itself, past the Worker.
    pub fn db(&self) -> MutexGuard<'_, Connection> {
        lock(&self.shared.db)
    }

    pub fn sql(&self, text: &str) {
        self.db().execute_batch(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }

    /// The one value that a query gives.
    pub fn value<T: rusqlite::types::FromSql>(&self, query: &str) -> T {
        self.db().query_row(query, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{error}: {query}"))
    }
}

/// What a session has to have seen, or has seen.
const SEEN: &str = "x-cf-d1-session-commit-token";

impl Shared {
    /// As D1's sessions have it: a constraint or a bookmark decides who answers, and the answer says what it has seen.
    fn answer_in_session(&self, request: &http::Request) -> Reply {
        let body = String::from_utf8_lossy(&request.body);
        let Some(wanted) = request.headers.get(SEEN) else { return self.answer(&request.path, &body) };
        let asked: Value = serde_json::from_str(&body).expect("JSON from the runtime");
        let reads = asked.as_array().is_some_and(|all| {
            all.iter()
                .all(|one| one["sql"].as_str().is_some_and(|sql| sql.starts_with("SELECT") || sql.starts_with("WITH")))
        });
        let (reply, seen) = {
            let mut replica = lock(&self.replica);
            match replica.as_mut().filter(|(_, moment)| reads && may_answer(wanted, *moment)) {
                Some((db, moment)) => {
                    self.lagged.fetch_add(1, Ordering::Relaxed);
                    let statements = asked.as_array().expect("a batch");
                    let answers: Vec<Value> = statements.iter().map(|one| run(db, one, 0).expect("rows")).collect();
                    (Reply::Body(Value::Array(answers).to_string()), *moment)
                }
                None => {
                    let reply = self.answer(&request.path, &body);
                    (reply, self.moment.fetch_add(u64::from(!reads), Ordering::Relaxed) + u64::from(!reads))
                }
            }
        };
        match reply {
            Reply::Body(text) => {
                let headers = vec![("Content-Type", "application/json".to_owned()), (SEEN, format!("{seen:08}-0"))];
                Reply::Full(200, headers, text.into_bytes())
            }
            other => other,
        }
    }

    fn answer(&self, path: &str, body: &str) -> Reply {
        let asked: Value = serde_json::from_str(body).expect("JSON from the runtime");
        let is_spared = self.is_spared(&asked);
        let fault = if is_spared { None } else { self.next_fault() };
        self.trips.fetch_add(u32::from(!is_spared), Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(self.lag.load(Ordering::Relaxed)));
        self.wait();
        match fault {
            Some(Fault::ErrorBefore(words)) => return error(words),
            Some(Fault::SilentBefore) => return Reply::Silence,
            _ => {}
        }
        assert!(path.starts_with("/query") || path.starts_with("/execute"), "no such path at D1: {path}");
        let batch = asked.as_array().cloned();
        let statements = batch.clone().unwrap_or_else(|| vec![asked]);
        if !is_spared {
            self.statements.fetch_add(u32::try_from(statements.len()).expect("few"), Ordering::Relaxed);
        }
        let mut answers = match self.commit(&statements) {
            Ok(answers) => answers,
            Err(failure) => return error(&words(&failure)),
        };
        self.wait();
        match fault {
            Some(Fault::ErrorAfter(words)) => error(words),
            Some(Fault::ClosedAfter) => Reply::Close,
            Some(Fault::SilentAfter) => Reply::Silence,
            Some(Fault::GarbledAfter) => Reply::Body("<html>502 Bad Gateway</html>".to_owned()),
            Some(odd @ (Fault::OddRowsAfter | Fault::NoRowsAfter)) => {
                for row in
                    answers.iter_mut().flat_map(|answer| answer["results"]["rows"].as_array_mut().into_iter().flatten())
                {
                    *row = if odd == Fault::OddRowsAfter { json!([r#"{"odd":[]}"#]) } else { json!([null]) };
                }
                Reply::Body(Value::Array(answers).to_string())
            }
            _ if batch.is_some() => Reply::Body(Value::Array(answers).to_string()),
            _ => Reply::Body(answers.into_iter().next().unwrap_or_default().to_string()),
        }
    }

    fn is_spared(&self, asked: &Value) -> bool {
        let first = asked.get(0).unwrap_or(asked)["sql"].as_str();
        lock(&self.spared).is_some_and(|beginning| first.is_some_and(|sql| sql.trim_start().starts_with(beginning)))
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut slot = lock(&self.fault);
        let (well, fault, left) = (*slot)?;
        if well > 0 {
            *slot = Some((well - 1, fault, left));
            return None;
        }
        *slot = (left > 1).then(|| (0, fault, left - 1));
        Some(fault)
    }

    fn wait(&self) {
        let most = self.latency.load(Ordering::Relaxed);
        if most > 0 {
            let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            std::thread::sleep(Duration::from_micros((mixed >> 16) % most));
        }
    }

    /// One transaction, as D1 makes of a batch.
    fn commit(&self, statements: &[Value]) -> rusqlite::Result<Vec<Value>> {
        let mut db = lock(&self.db);
        let transaction = db.transaction()?;
        let size = self.size.load(Ordering::Relaxed);
        let answers =
            statements.iter().map(|statement| run(&transaction, statement, size)).collect::<Result<_, _>>()?;
        transaction.commit()?;
        Ok(answers)
    }
}

fn run(db: &Connection, statement: &Value, size: u64) -> rusqlite::Result<Value> {
    let mut prepared = db.prepare_cached(statement["sql"].as_str().expect("a text"))?;
    let params = statement["params"].as_array().cloned().unwrap_or_default();
    // Every number that comes from JavaScript is a double.
    let params = params.iter().map(|param| match param {
        Value::Null => rusqlite::types::Value::Null,
        Value::Number(n) => rusqlite::types::Value::Real(n.as_f64().expect("a double")),
        Value::String(text) => rusqlite::types::Value::Text(text.clone()),
        other => panic!("the Worker binds no {other}"),
    });
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let mut found = prepared.query(rusqlite::params_from_iter(params))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cells = (0..columns.len()).map(|index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(n) => json!(n),
                ValueRef::Real(n) => json!(n),
                ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                ValueRef::Blob(bytes) => json!(bytes),
            })
        });
        rows.push(cells.collect::<rusqlite::Result<Value>>()?);
    }
    let meta = json!({"duration": 0, "changes": 0, "last_row_id": 0, "changed_db": false, "size_after": size, "rows_read": 0, "rows_written": 0});
    Ok(json!({"success": true, "results": {"columns": columns, "rows": rows}, "meta": meta}))
}

/// Whether a copy of this moment has seen enough.
fn may_answer(wanted: &str, moment: u64) -> bool {
    match wanted {
        "first-unconstrained" => true,
        "first-primary" => false,
        bookmark => bookmark.trim_end_matches("-0").parse().is_ok_and(|seen: u64| seen <= moment),
    }
}

/// An error as D1 words it.
fn words(failure: &rusqlite::Error) -> String {
    let constraint = failure.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation);
    format!("{failure}: SQLITE_{}", if constraint { "CONSTRAINT" } else { "ERROR" })
}

fn error(words: &str) -> Reply {
    Reply::Body(json!({"success": false, "error": words}).to_string())
}
