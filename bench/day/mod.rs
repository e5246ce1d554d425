//! A simulated day: the real core (its operations, its sweeper, its statements and schema) over SQLite files, on a clock that does
//! not wait. It shows how busy the one writer of each database is, how late the sweeper's clocks are, and that the books balance.
//!
//! Runners do what `estop run` does: they claim, open their line to the hub, send a heartbeat each 30 s (each 2 s while they stop)
//! and finish. Every heartbeat is sent, also the two of three that renew nothing. What the hub tells reaches them in less than half a
//! second, but for some whose line is broken, who learn it from a heartbeat. Somebody looks at each run once, and at the list
//! beside every fourth.

pub mod books;
mod plan;
mod report;
mod runtime;
pub mod simulation;

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use books::Clock;
pub use report::{missed, table};
use runtime::Work;
pub use runtime::clock;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// What became of the runs and shards of a database.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Account {
    pub runs: u64,
    pub passed: u64,
    pub failed: u64,
    pub errors: u64,
    pub user: u64,
    pub superseded: u64,
    pub stale: u64,
    /// Shards that finished, those that stopped by how they did, those of which nobody heard, and those of these that told their
    /// result after all.
    pub finished: u64,
    pub graceful: u64,
    pub terminated: u64,
    pub killed: u64,
    pub lost: u64,
    pub late: u64,
}

/// The day of one database.
pub struct Database {
    pub account: Account,
    pub minutes: Vec<Work>,
    pub clocks: Vec<Clock>,
    /// What does not balance.
    pub complaints: Vec<String>,
    pub bytes: u64,
    /// How long all of it took.
    pub took: Duration,
}

/// Lets a day pass in so many databases with so many runs each, in files in `folder`, two at a time.
pub fn pass(databases: u8, runs: i64, folder: &Path) -> Vec<Database> {
    std::fs::create_dir_all(folder).expect("a folder");
    let next = AtomicU8::new(0);
    let passed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= databases {
                        break;
                    }
                    let file = folder.join(format!("{number}.db"));
                    let database = one(number, runs, &file);
                    let (took, wrong) = (database.took.as_secs_f64(), database.complaints.len());
                    eprintln!("day: database {number} took {took:.0} s; {wrong} things do not balance");
                    passed.lock().unwrap_or_else(PoisonError::into_inner).push((number, database));
                }
            });
        }
    });
    let mut passed = passed.into_inner().unwrap_or_else(PoisonError::into_inner);
    passed.sort_unstable_by_key(|(number, _)| *number);
    passed.into_iter().map(|(_, database)| database).collect()
}

fn one(number: u8, runs: i64, file: &Path) -> Database {
    let begun = clock();
    // What a day that was interrupted left.
    let _ = std::fs::remove_file(file);
    let day = simulation::pass(number, runs, file);
    let complaints = books::complaints(&day);
    let clocks = books::clocks(&day);
    let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    std::fs::remove_file(file).expect("the file that it made");
    let minutes = day.writer.minutes.take();
    Database { account: day.account(), minutes, clocks, complaints, bytes, took: begun.elapsed() }
}
