//! The figures of the day, and the goals that are held or missed.

use std::time::Duration;

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::books::Clock;
use super::runtime::Work;
use super::{Account, Database};

/// The share of its time that a database's one writer may be busy.
const BUSY: f64 = 0.6;
/// How long one batch takes at D1: "if your average query takes 1 ms, you can run approximately 1,000 queries per second"
/// (developers.cloudflare.com/d1/platform/limits).
const BATCH: Duration = Duration::from_millis(1);
/// How late the sweeper may be: two ticks (ms).
const LATE: i64 = 120_000;
/// Minutes of the day; what is left of it after midnight belongs to the next one.
const DAY: usize = 24 * 60;

/// How busy a writer is, as a share of its time.
struct Busy {
    day: f64,
    /// In its busiest minute.
    minute: f64,
}

fn busy(database: &Database, time: impl Fn(&Work) -> Duration) -> Busy {
    let minutes = || database.minutes.iter().take(DAY).map(|work| time(work).as_secs_f64() / 60.0);
    Busy { day: minutes().sum::<f64>() / DAY as f64, minute: minutes().fold(0.0, f64::max) }
}

/// By D1's 1 ms a batch.
fn by_batches(database: &Database) -> Busy {
    busy(database, |work| BATCH * work.batches)
}

/// By what SQLite took on this machine.
fn as_measured(database: &Database) -> Busy {
    busy(database, |work| work.took)
}

/// A number of an account.
type Of = fn(&Account) -> u64;

/// Everything, as Markdown.
pub fn table(databases: &[Database]) -> String {
    let sum = |of: Of| databases.iter().map(|database| of(&database.account)).sum::<u64>();
    let mut text = String::new();
    let mut writers = Table::new();
    writers.load_style(ASCII_MARKDOWN).set_header([
        "database",
        "runs",
        "batches",
        "busy: day, busiest minute",
        "measured: day, busiest minute",
        "bytes a run",
    ]);
    for (number, database) in databases.iter().enumerate() {
        let batches: u64 = database.minutes.iter().map(|work| u64::from(work.batches)).sum();
        let (model, measured) = (by_batches(database), as_measured(database));
        let shares = |busy: &Busy| format!("{:.1} %, {:.1} %", busy.day * 100.0, busy.minute * 100.0);
        writers.add_row([
            number.to_string(),
            database.account.runs.to_string(),
            batches.to_string(),
            shares(&model),
            shares(&measured),
            (database.bytes / database.account.runs.max(1)).to_string(),
        ]);
    }
    text.push_str(&format!("{writers}\n\n"));
    let mut clocks = Table::new();
    clocks.load_style(ASCII_MARKDOWN).set_header(["clock", "ran out", "latest, s", "ticks"]);
    for clock in all_clocks(databases) {
        let latest = format!("{:.1}", clock.latest as f64 / 1e3);
        clocks.add_row([clock.name.to_owned(), clock.count.to_string(), latest, clock.ticks().to_string()]);
    }
    text.push_str(&format!("{clocks}\n\n"));
    let mut ends = Table::new();
    ends.load_style(ASCII_MARKDOWN).set_header(["what became of them", ""]);
    let rows: [(&str, Of); 13] = [
        ("runs", |account| account.runs),
        ("passed", |account| account.passed),
        ("failed", |account| account.failed),
        ("broke", |account| account.errors),
        ("stopped by a person", |account| account.user),
        ("superseded", |account| account.superseded),
        ("stopped by the sweeper", |account| account.stale),
        ("shards that finished", |account| account.finished),
        ("that stopped by themselves", |account| account.graceful),
        ("that were terminated", |account| account.terminated),
        ("that were killed", |account| account.killed),
        ("that were lost", |account| account.lost),
        ("and told their result after all", |account| account.late),
    ];
    for (name, of) in rows {
        ends.add_row([name.to_owned(), sum(of).to_string()]);
    }
    text.push_str(&ends.to_string());
    text
}

/// Over all databases.
fn all_clocks(databases: &[Database]) -> Vec<Clock> {
    let Some(first) = databases.first() else { return Vec::new() };
    let mut all = first.clocks.clone();
    for clocks in databases.iter().skip(1).map(|database| &database.clocks) {
        for (clock, other) in all.iter_mut().zip(clocks) {
            clock.count += other.count;
            clock.earliest = clock.earliest.min(other.earliest);
            clock.latest = clock.latest.max(other.latest);
        }
    }
    all
}

/// The goals that were missed.
pub fn missed(databases: &[Database]) -> Vec<String> {
    let mut missed = Vec::new();
    for (number, database) in databases.iter().enumerate() {
        for (how, busy) in [("by D1's 1 ms a batch", by_batches(database)), ("as measured", as_measured(database))] {
            if busy.day > BUSY || busy.minute > BUSY {
                missed.push(format!(
                    "database {number}: its writer is busy for {:.2} of the day, {:.2} of a minute, {how}",
                    busy.day, busy.minute
                ));
            }
        }
        missed.extend(database.complaints.iter().map(|complaint| format!("database {number}: {complaint}")));
    }
    for clock in all_clocks(databases) {
        let Clock { name, count, earliest, latest } = clock;
        if count == 0 {
            missed.push(format!("{name}: this clock never ran out, so nothing is known of it"));
        }
        if latest > LATE || earliest < 0 {
            missed.push(format!("{name}: the sweeper acted from {earliest} to {latest} ms after it had run out"));
        }
    }
    missed
}
