//! The day that `make scale` simulates, made small, so that the large one can be relied on.

#[allow(clippy::module_inception, reason = "the simulation's own name")]
#[path = "../../bench/day/mod.rs"]
mod day;

use std::path::{Path, PathBuf};
use std::time::Duration;

use estop_protocol::run::Cause;

use day::simulation::{self, Day, Fate, Phase};
use day::{Database, books, missed, pass, table};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn small_day(name: &str) -> Vec<Database> {
    pass(2, 400, &folder(name))
}

#[test]
fn a_small_day_holds_its_goals() {
    let databases = small_day("small-day");
    assert_eq!(missed(&databases), [""; 0], "{}", table(&databases));
    assert_eq!(databases.iter().map(|database| database.account.runs).sum::<u64>(), 800);
}

#[test]
fn a_goal_that_is_missed_is_told() {
    let mut databases = small_day("missed-day");
    databases[0].minutes[600].batches = 36_001;
    databases[1].minutes[700].took = Duration::from_secs(37);
    databases[0].clocks[1].latest = 120_001;
    databases[1].clocks[2].earliest = -1;
    for database in &mut databases {
        database.clocks[0].count = 0;
    }
    let missed = missed(&databases);
    let has = |words: &str| missed.iter().any(|goal| goal.contains(words));
    assert_eq!(missed.len(), 5, "{missed:?}");
    assert!(has("database 0: its writer is busy") && has("database 1: its writer is busy"), "{missed:?}");
    assert!(has("unclaimed: this clock never ran out"), "{missed:?}");
    assert!(has("lapsed: the sweeper acted") && has("incomplete: the sweeper acted"), "{missed:?}");
}

#[test]
fn what_does_not_balance_is_told() {
    let folder = folder("unbalanced-day");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("0.db");
    let _ = std::fs::remove_file(&file);
    let mut day = simulation::pass(0, 400, &file);
    assert_eq!(books::complaints(&day), [""; 0]);
    let tell = |day: &Day, words: &str| {
        let complaints = books::complaints(day);
        assert!(complaints.iter().any(|complaint| complaint.contains(words)), "{words}: {complaints:?}");
    };
    let fate = day.runs[5].fate.replace(Fate::Cancelled(Cause::FailFast));
    tell(&day, "run 6 is known as");
    day.runs[5].fate = fate;
    let lost = day.jobs.iter().position(|job| job.phase == Phase::Lost).expect("a lost machine");
    day.jobs[lost].lease_ends += 1;
    tell(&day, "the lease of run");
    day.jobs[lost].phase = Phase::Over;
    tell(&day, "who had to do with it knows");
    let tamper = |sql: &str| day.writer.db.borrow().execute_batch(sql).expect("SQL");
    tamper("UPDATE daily_runs SET by_user = by_user + 1 WHERE environment_id = 0");
    tell(&day, "the days have counted");
    tamper("DROP TRIGGER run_events_stand; UPDATE run_events SET cause = 'claimed' WHERE step = 4 AND run_id = 7");
    tell(&day, "run 7 has an end that its event tells otherwise");
}
