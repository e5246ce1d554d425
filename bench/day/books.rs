//! After the day: what the database has against what those who had to do with it know, and when each clock ran out against when
//! the sweeper acted.

use estop_protocol::run::Cause;
use rusqlite::Connection;

use super::plan::Ends;
use super::simulation::{Day, Fate, Phase};
use super::{Account, MINUTE};
use crate::history;

/// What ended because a clock had run out: at a tick, or at a claim of the run that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    pub name: &'static str,
    /// How many ran out.
    pub count: u64,
    /// The least and the most time from when it ran out until the sweeper acted (ms); 0 if none ran out.
    pub earliest: i64,
    pub latest: i64,
}

/// A clock: its name, and for each run or shard that it ended, how long after it had run out (the timeouts are the defaults).
const CLOCKS: [(&str, &str); 5] = [
    ("unclaimed", "SELECT cancelled_at - waiting_since - 3600000 FROM runs WHERE cancel_cause = 'stale' AND started_at IS NULL"),
    (
        "lapsed",
        "SELECT cancelled_at - 30000 - (SELECT max(coalesce(ended_at, lease_expires_at)) FROM run_shards WHERE run_id = id)
           FROM runs WHERE cancel_cause = 'stale' AND cancel_reason LIKE '%no heartbeat%'",
    ),
    (
        "incomplete",
        "SELECT cancelled_at - 3600000 - (SELECT max(ended_at) FROM run_shards WHERE run_id = id) FROM runs
          WHERE cancel_cause = 'stale' AND started_at IS NOT NULL AND stop_outcome = 'never_started' AND cancel_reason NOT LIKE 'still running%'",
    ),
    (
        "over-age",
        "SELECT cancelled_at - started_at - 21600000 FROM runs WHERE cancel_cause = 'stale' AND cancel_reason LIKE 'still running%'",
    ),
    // A lease may have run out before the cancel.
    (
        "unconfirmed",
        "SELECT s.stop_closed_at - max(s.lease_expires_at + 30000, r.cancelled_at) FROM runs r JOIN run_shards s ON s.run_id = r.id
          WHERE s.stop_outcome = 'lost' AND (r.cancel_cause <> 'stale' OR r.cancel_reason LIKE 'still running%')",
    ),
];

/// How late the sweeper was, by each clock.
pub fn clocks(day: &Day) -> Vec<Clock> {
    let db = day.writer.db.borrow();
    let clock = |(name, late): (&'static str, &str)| {
        let query =
            format!("WITH o (late) AS ({late}) SELECT count(*), coalesce(min(late), 0), coalesce(max(late), 0) FROM o");
        db.query_row(&query, [], |row| {
            Ok(Clock { name, count: row.get(0)?, earliest: row.get(1)?, latest: row.get(2)? })
        })
        .expect("SQL")
    };
    CLOCKS.map(clock).to_vec()
}

/// What does not balance, at most some of each kind.
pub fn complaints(day: &Day) -> Vec<String> {
    let db = &*day.writer.db.borrow();
    let mut complaints = history::contradictions(db);
    let folded = history::folds(db, "true");
    if folded != day.runs.len() {
        complaints.push(format!("{folded} runs fold, and there are {}", day.runs.len()));
    }
    let (known, stored, counted) = (day.account(), account(db), daily(db));
    if known != stored {
        complaints.push(format!("who had to do with it knows {known:?}, the database has {stored:?}"));
    }
    let expected = Account { finished: 0, graceful: 0, terminated: 0, killed: 0, lost: 0, late: 0, ..known };
    if counted != expected {
        complaints.push(format!("the days have counted {counted:?}, there were {expected:?}"));
    }
    complaints.extend(open(db));
    complaints.extend(fates(day, db));
    complaints.extend(leases(day, db));
    complaints
}

fn account(db: &Connection) -> Account {
    const RUNS: &str = "SELECT count(*), count(*) FILTER (WHERE result = 'passed'), count(*) FILTER (WHERE result = 'failed'), count(error_code),
        count(*) FILTER (WHERE cancel_cause = 'user'), count(*) FILTER (WHERE cancel_cause = 'superseded'),
        count(*) FILTER (WHERE cancel_cause = 'stale') FROM runs";
    const SHARDS: &str = "SELECT count(ended_at), count(*) FILTER (WHERE stop_outcome = 'graceful'), count(*) FILTER (WHERE stop_outcome = 'terminated'),
        count(*) FILTER (WHERE stop_outcome = 'killed'), count(*) FILTER (WHERE stop_outcome = 'lost'), count(late_result) FROM run_shards";
    let runs = runs(db, RUNS);
    let account = db.query_row(SHARDS, [], |row| {
        Ok(Account {
            finished: row.get(0)?,
            graceful: row.get(1)?,
            terminated: row.get(2)?,
            killed: row.get(3)?,
            lost: row.get(4)?,
            late: row.get(5)?,
            ..runs
        })
    });
    account.expect("SQL")
}

/// What the sweeper has counted on its days, of each project as a whole.
fn daily(db: &Connection) -> Account {
    const DAILY: &str = "SELECT sum(passed + failed + errors + by_user + by_stale + by_superseded + by_fail_fast), sum(passed), sum(failed), sum(errors),
        sum(by_user), sum(by_superseded), sum(by_stale) FROM daily_runs WHERE environment_id = 0";
    runs(db, DAILY)
}

/// How many runs a query counts, and what became of them.
fn runs(db: &Connection, query: &str) -> Account {
    let runs = db.query_row(query, [], |row| {
        Ok(Account {
            runs: row.get(0)?,
            passed: row.get(1)?,
            failed: row.get(2)?,
            errors: row.get(3)?,
            user: row.get(4)?,
            superseded: row.get(5)?,
            stale: row.get(6)?,
            ..Account::default()
        })
    });
    runs.expect("SQL")
}

/// Runs that are not over, and stops that are not closed.
fn open(db: &Connection) -> Vec<String> {
    let mut open = db
        .prepare(
            "SELECT id || ' is ' || state || coalesce(', ' || stop_outcome, '') FROM runs
                   WHERE open_state IS NOT NULL OR stop_outcome = 'stopping' LIMIT 5",
        )
        .expect("SQL");
    open.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
}

/// Each run's end against what those who had to do with it heard.
fn fates(day: &Day, db: &Connection) -> Vec<String> {
    let mut rows =
        db.prepare("SELECT id, coalesce(result, error_code, cancel_cause) FROM runs ORDER BY id").expect("SQL");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let stored: Vec<(i64, Option<String>)> = rows.collect::<Result<_, _>>().expect("texts");
    let differs = |((id, run), stored): ((i64, &super::simulation::Run), &(i64, Option<String>))| {
        let known = run.fate.map(|fate| match fate {
            Fate::Ended(Ends::Passed) => "passed",
            Fate::Ended(Ends::Failed) => "failed",
            Fate::Ended(Ends::Broken) => "run_failed_with_error",
            Fate::Cancelled(cause) => cause.name(),
        });
        let is_so = *stored == (id, known.map(str::to_owned)) && known != Some(Cause::FailFast.name());
        (!is_so).then(|| format!("run {id} is known as {known:?} and stored as {stored:?}"))
    };
    (day.first..).zip(&day.runs).zip(&stored).filter_map(differs).take(5).collect()
}

/// The leases of the machines that were lost end when they were told.
fn leases(day: &Day, db: &Connection) -> Vec<String> {
    let mut select = db
        .prepare("SELECT lease_expires_at FROM run_shards WHERE run_id = ?1 AND shard = ?2 AND stop_outcome = 'lost'")
        .expect("SQL");
    let mut complaints = Vec::new();
    for job in day.jobs.iter().filter(|job| job.phase == Phase::Lost) {
        let id = day.first + i64::try_from(job.run).expect("few");
        let ends: Option<i64> = select.query_row((id, i64::try_from(job.shard).expect("few")), |row| row.get(0)).ok();
        if ends != Some(job.lease_ends) {
            complaints
                .push(format!("the lease of run {id} ends at {ends:?}, and its runner was told {}", job.lease_ends));
        }
    }
    complaints.truncate(5);
    complaints
}

impl Clock {
    /// How many ticks came after it had run out, up to the one that acted: one is on time.
    pub fn ticks(&self) -> i64 {
        self.latest / MINUTE + 1
    }
}
