//! A database of its own for each test, and the service's operations on it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use estop::config::Config;
use estop::error::ApiError;
use estop::host::{DbError, Host, Rows, Statement, Value};
use estop::key::KeyHash;
use estop::run::{Clock, Event, Finish, State};
use estop::sql;
use estop::store::run::{self as store, Caller, CancelOutcome, ClaimOutcome, FinishOutcome, HeartbeatOutcome};
use estop::time::Timestamp;
use estop::wire::requests::{FinishRequest, Finished};
use pollster::block_on;
use rusqlite::Connection;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSql, ToSqlOutput};

pub const SCHEMA: &str = include_str!("../../schema.sql");
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub const MINUTE: i64 = 60_000;
pub const LEASE: i64 = 120_000;
pub const STOP_LIMIT: i64 = 300_000;
pub const KEY: &str = "estop_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the database does to one batch instead of answering it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    BeforeCommit(DbError),
    AfterCommit(DbError),
}

/// SQLite as D1 runs it: every number arrives as a double, foreign keys are on, functions take at most 32 arguments.
pub struct SqliteHost {
    pub db: RefCell<Connection>,
    pub faults: RefCell<VecDeque<Fault>>,
    pub batches: Cell<u32>,
    elapsed: Cell<i64>,
    chance: Cell<u64>,
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

impl SqliteHost {
    pub fn new() -> Self {
        let db = Connection::open_in_memory().expect("SQLite");
        db.set_limit(Limit::SQLITE_LIMIT_FUNCTION_ARG, 32).expect("a limit");
        db.pragma_update(None, "foreign_keys", true).expect("a pragma");
        db.execute_batch(SCHEMA).expect("the schema");
        Self {
            db: RefCell::new(db),
            faults: RefCell::default(),
            batches: Cell::new(0),
            elapsed: Cell::new(0),
            chance: Cell::new(0x9e37_79b9_7f4a_7c15),
        }
    }

    fn commit(&self, statements: &[Statement<'_>]) -> rusqlite::Result<Rows> {
        let mut db = self.db.borrow_mut();
        let transaction = db.transaction()?;
        let mut rows = Rows::new();
        for statement in statements {
            let mut prepared = transaction.prepare_cached(&statement.sql)?;
            let params = rusqlite::params_from_iter(statement.params.iter().map(Bound));
            rows.push(prepared.query_map(params, |row| row.get("row"))?.collect::<Result<_, _>>().or_else(
                |error| {
                    // A statement without RETURNING gives no column, and no row.
                    if matches!(error, rusqlite::Error::InvalidColumnName(_)) { Ok(Vec::new()) } else { Err(error) }
                },
            )?);
        }
        transaction.commit()?;
        Ok(rows)
    }
}

impl Host for SqliteHost {
    async fn batch(&self, statements: &[Statement<'_>], _deadline: i64) -> Result<Rows, DbError> {
        self.batches.set(self.batches.get() + 1);
        self.elapsed.set(self.elapsed.get() + 1);
        let fault = self.faults.borrow_mut().pop_front();
        if let Some(Fault::BeforeCommit(error)) = fault {
            return Err(error);
        }
        let rows = self.commit(statements).unwrap_or_else(|error| panic!("{error}\n{statements:#?}"));
        match fault {
            Some(Fault::AfterCommit(error)) => Err(error),
            _ => Ok(rows),
        }
    }

    async fn pause(&self, span: i64) {
        self.elapsed.set(self.elapsed.get() + span);
    }

    fn elapsed(&self) -> i64 {
        self.elapsed.get()
    }

    /// Not random, but never the same twice (splitmix64).
    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let seed = self.chance.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.chance.set(seed);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (mixed ^ (mixed >> 27)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    async fn within_rate(&self, _who: &str) -> bool {
        true
    }
}

/// A project with an environment and a key that may do everything.
pub struct World {
    pub host: SqliteHost,
    pub config: Config,
    pub key: KeyHash,
    pub now: Cell<Timestamp>,
}

/// A run and its runner's token, if a runner ever held it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: i64,
    pub token: String,
}

/// The columns that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub state: String,
    pub result: Option<String>,
    pub error_code: Option<String>,
    pub cancel_reason: Option<String>,
    pub cancel_cause: Option<String>,
    pub cancel_by: Option<String>,
    pub cancelled_at: Option<i64>,
    pub stop_outcome: Option<String>,
    pub stop_closed_at: Option<i64>,
    pub lease_expires_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub superseded_by: Option<i64>,
}

impl World {
    pub fn new() -> Self {
        let host = SqliteHost::new();
        let key = KeyHash::of(KEY);
        let world = Self { host, config: Config::read(|_| None).0, key, now: Cell::new(NOW) };
        world.sql("INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (1, 'one', 'One', 'x', 1), (2, 'two', 'Two', 'y', 1)");
        world.sql("INSERT INTO environments (id, project_id, slug, name, request_id, created_at) \
                   VALUES (1, 1, 'staging', 'Staging', 'x', 1), (2, 1, 'production', 'Production', 'y', 1), (3, 2, 'elsewhere', 'Elsewhere', 'z', 1)");
        world.add_key(KEY, 1, (1, 1, 1), None, None);
        world
    }

    pub fn add_key(
        &self,
        plain: &str,
        project: i64,
        may: (u8, u8, u8),
        expires: Option<i64>,
        revoked: Option<i64>,
    ) -> KeyHash {
        let hash = KeyHash::of(plain);
        self.host
            .db
            .borrow()
            .execute(
                "INSERT INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at, expires_at, revoked_at) \
                 VALUES (?1, 'ada', 'test', ?2, ?3, ?4, ?5, 1, ?6, ?7)",
                rusqlite::params![project, hash.as_str(), may.0, may.1, may.2, expires, revoked],
            )
            .expect("a key");
        hash
    }

    pub fn sql(&self, text: &str) {
        self.host.db.borrow().execute_batch(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }

    pub fn caller<'a>(&self, key: &'a KeyHash) -> Caller<'a> {
        Caller { key, now: self.now.get(), deadline: self.config.d1_deadline }
    }

    pub fn pass(&self, span: i64) {
        self.now.set(self.now.get().plus(span));
    }

    /// A new run in the environment `staging`, in a state that it reached as runs do.
    pub fn run_in(&self, state: State) -> Run {
        let id = self.registered(if state == State::Pending { "pending" } else { "queued" });
        let mut run = Run { id, token: "nobody's".to_owned() };
        if !matches!(state, State::Pending | State::Queued) {
            assert!(self.apply(&mut run, Event::Claim));
        }
        assert!(match state {
            State::Pending | State::Queued | State::Started => true,
            State::Ended => self.apply(&mut run, Event::Finish(Finish::Ended)),
            State::Error => self.apply(&mut run, Event::Finish(Finish::Error)),
            State::Cancelled => self.apply(&mut run, Event::Cancel),
        });
        run
    }

    fn registered(&self, state: &str) -> i64 {
        let db = self.host.db.borrow();
        db.query_row(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
             VALUES (1, 1, ?1, 'r' || (SELECT count(*) FROM runs), ?2, 'ada', ?2) RETURNING id",
            rusqlite::params![state, self.now.get().0],
            |row| row.get(0),
        )
        .expect("a run")
    }

    pub fn finished(token: &str, how: Finish) -> Finished {
        let json = match how {
            Finish::Ended => format!(r#"{{"lease":"{token}","state":"ended","result":"passed"}}"#),
            Finish::Error => format!(r#"{{"lease":"{token}","state":"error","error_code":"run_failed_with_error"}}"#),
        };
        serde_json::from_str::<FinishRequest>(&json).expect("a request").checked().expect("a finish")
    }

    pub fn cancel_with(
        &self,
        key: &KeyHash,
        id: i64,
        request_id: &str,
        reason: Option<&str>,
    ) -> Result<CancelOutcome, ApiError> {
        block_on(store::cancel(&self.host, &self.caller(key), id, request_id, reason))
    }

    /// Lets `event` happen to the run through the service's own statements; says whether it took.
    pub fn apply(&self, run: &mut Run, event: Event) -> bool {
        let caller = self.caller(&self.key);
        let unique = format!("own:{}", self.host.batches.get());
        match event {
            Event::Claim => match block_on(store::claim(&self.host, &caller, run.id, &unique, LEASE, Some("r")))
                .expect("an answer")
            {
                ClaimOutcome::Claimed { token, .. } => {
                    run.token = token;
                    true
                }
                ClaimOutcome::Waits(_) | ClaimOutcome::NotQueued(_) => false,
            },
            Event::Heartbeat => {
                match block_on(store::heartbeat(&self.host, &caller, run.id, &run.token, LEASE, STOP_LIMIT))
                    .expect("an answer")
                {
                    HeartbeatOutcome::Held(found) => found.state == State::Started,
                    HeartbeatOutcome::NotHeld(_) => false,
                }
            }
            Event::Finish(how) => {
                let finished = Self::finished(&run.token, how);
                let outcome =
                    block_on(store::finish(&self.host, &caller, run.id, &unique, &finished)).expect("an answer");
                matches!(outcome, FinishOutcome::Finished(_))
            }
            Event::Cancel => {
                matches!(
                    self.cancel_with(&self.key, run.id, &unique, Some("why")).expect("an answer"),
                    CancelOutcome::Cancelled { .. }
                )
            }
            Event::Sweep(clock) => self.sweep(clock).contains(&run.id),
        }
    }

    /// One statement of the sweeper, with its clock run out for every run that it could reach.
    pub fn sweep(&self, clock: Clock) -> Vec<i64> {
        let text = match clock {
            Clock::Unclaimed => sql::sweep::UNCLAIMED,
            Clock::Lapsed => sql::sweep::LAPSED,
            Clock::OverAge => sql::sweep::OVER_AGE,
            Clock::Unconfirmed => sql::sweep::UNCONFIRMED,
        };
        let later = self.now.get().plus(LEASE);
        let mut params = vec![Value::Integer(later.0), Value::Integer(0), Value::Integer(100), Value::Text("tick:1")];
        if clock == Clock::Unconfirmed {
            params.pop();
        }
        let rows = block_on(self.host.batch(&[Statement::new(text, params)], 1)).expect("rows");
        rows.concat().iter().map(|id| id.parse().expect("an id")).collect()
    }

    pub fn row(&self, id: i64) -> Row {
        let db = self.host.db.borrow();
        let mut select = db.prepare_cached("SELECT * FROM runs WHERE id = ?1").expect("SQL");
        let row = select.query_row([id], |row| {
            Ok(Row {
                state: row.get("state")?,
                result: row.get("result")?,
                error_code: row.get("error_code")?,
                cancel_reason: row.get("cancel_reason")?,
                cancel_cause: row.get("cancel_cause")?,
                cancel_by: row.get("cancel_by")?,
                cancelled_at: row.get("cancelled_at")?,
                stop_outcome: row.get("stop_outcome")?,
                stop_closed_at: row.get("stop_closed_at")?,
                lease_expires_at: row.get("lease_expires_at")?,
                ended_at: row.get("ended_at")?,
                superseded_by: row.get("superseded_by")?,
            })
        });
        row.expect("the run")
    }

    /// The states that a run went through, by its events.
    pub fn history(&self, id: i64) -> Vec<String> {
        let db = self.host.db.borrow();
        let mut statement =
            db.prepare_cached("SELECT to_state FROM run_events WHERE run_id = ?1 ORDER BY step").expect("SQL");
        statement.query_map([id], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
    }

    /// How many events say that a run is over.
    pub fn terminal_events(&self, id: i64) -> usize {
        let over: Vec<&str> = State::ALL.into_iter().filter(|s| s.is_over()).map(State::name).collect();
        self.history(id).iter().filter(|state| over.contains(&state.as_str())).count()
    }
}
