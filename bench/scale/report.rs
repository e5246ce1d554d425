//! What was measured, as a table and as goals that are held or missed.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use crate::day::Measured;
use crate::world::Cost;

/// What a database of one size costs.
pub struct Database<'a> {
    pub runs: i64,
    pub bytes: u64,
    pub measured: &'a Measured,
}

/// How many times as long as in the smallest database half of the requests may take.
const SLOWER: f64 = 2.0;

/// Ticks of the sweeper that count.
pub const COUNTING: &str = "tick that counts 100 runs that ended";
pub const COUNTING_CANCELS: &str = "tick that counts 100 runs that were cancelled";
pub const SWEEPING: &str = "tick that sweeps 100 runs, and counts them";

/// The share by which rows may differ of what counts. It reads the histograms of the days that it adds to and, for what a cancel has
/// saved, of the last 28 days. They have a row for each bucket that some run fell into, of 96 at most: few in the smallest
/// database, whose days have seven runs, so that the next one is what larger ones are held to, and nearly all in the others.
const HISTOGRAMS: f64 = 0.05;

/// A page of an export reads what its runs have: those of one database have a few shards more or fewer than those of another.
pub const EXPORT: &str = "export, the oldest runs";
const CONTENTS: f64 = 0.02;

fn reads_histograms(name: &str) -> bool {
    [COUNTING, COUNTING_CANCELS, SWEEPING].contains(&name)
}

/// Everything, as Markdown.
pub fn table(databases: &[Database]) -> String {
    let mut table = Table::new();
    let heads = databases.iter().map(|database| format!("{} runs", thousands(database.runs)));
    table
        .load_style(ASCII_MARKDOWN)
        .set_header(std::iter::once("rows read / written, p50 in ms".to_owned()).chain(heads));
    let Some(smallest) = databases.first() else { return String::new() };
    for (name, _) in smallest.measured {
        let cells = databases.iter().map(|database| {
            let costs = costs(database, name);
            let (read, written) = rows(costs);
            format!("{read} / {written}, {:.2}", p50(costs))
        });
        table.add_row(std::iter::once(name.clone()).chain(cells));
    }
    let sizes = databases.iter().map(|database| format!("{:.1} MB", database.bytes as f64 / 1e6));
    table.add_row(std::iter::once("the database".to_owned()).chain(sizes));
    table.to_string()
}

/// The goals that were missed: as many rows at every size, but for [`HISTOGRAMS`], and no more than [`SLOWER`] times the time.
pub fn missed(databases: &[Database]) -> Vec<String> {
    let Some((smallest, larger)) = databases.split_first() else { return Vec::new() };
    let mut missed = Vec::new();
    for (name, least) in smallest.measured {
        let (base, differ) = match name.as_str() {
            name if reads_histograms(name) => (&larger[0], HISTOGRAMS),
            EXPORT => (smallest, CONTENTS),
            _ => (smallest, 0.0),
        };
        let few = rows(costs(base, name));
        for database in larger {
            let costs = costs(database, name);
            let many = rows(costs);
            if many.1 != few.1 || many.0.abs_diff(few.0) as f64 > few.0 as f64 * differ {
                missed.push(format!("{name}: {many:?} rows at {} runs, {few:?} at {}", database.runs, base.runs));
            }
            let slower = p50(costs) / p50(least);
            if slower > SLOWER {
                missed.push(format!("{name}: {slower:.1} times the time at {} runs", database.runs));
            }
        }
    }
    missed
}

fn costs<'a>(database: &'a Database, name: &str) -> &'a [Cost] {
    let found = database.measured.iter().find(|(known, _)| known == name);
    &found.expect("every size is asked the same").1
}

/// The most rows that one of them read, and wrote.
fn rows(costs: &[Cost]) -> (u64, u64) {
    costs.iter().fold((0, 0), |most, cost| (most.0.max(cost.read), most.1.max(cost.written)))
}

/// What half of them stay within, in ms.
fn p50(costs: &[Cost]) -> f64 {
    let mut times: Vec<f64> = costs.iter().map(|cost| cost.time.as_secs_f64() * 1e3).collect();
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

fn thousands(n: i64) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
