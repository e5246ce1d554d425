//! What a month costs on Cloudflare's paid plan, computed from `tests/budget.json`, which every request is held to, and from the
//! prices. `make cost` prints it, and docs/costs.md has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Runs a day.
const LOADS: [f64; 3] = [1e3, 1e5, 1e6];
const DAYS: f64 = 30.0;

/// What the plan includes a month, and the dollars for each unit more.
struct Price {
    included: f64,
    each: f64,
}

// developers.cloudflare.com/workers/platform/pricing, /d1/platform/pricing and /durable-objects/platform/pricing, November 2026.
const PLAN: f64 = 5.0;
const REQUESTS: Price = Price { included: 10e6, each: 0.30e-6 };
const CPU_MS: Price = Price { included: 30e6, each: 0.02e-6 };
const ROWS_READ: Price = Price { included: 25e9, each: 0.001e-6 };
const ROWS_WRITTEN: Price = Price { included: 50e6, each: 1.0e-6 };
const STORAGE_GB: Price = Price { included: 5.0, each: 0.75 };
const HUB_REQUESTS: Price = Price { included: 1e6, each: 0.15e-6 };
const HUB_GB_SECONDS: Price = Price { included: 400e3, each: 12.50e-6 };

// A run: one shard, ten minutes, its line to the hub open, and a heartbeat each 30 s, of which every third renews the lease. One in
// ten is cancelled. Of each, somebody looks at one page of the list and at the run itself once.
const MINUTES: f64 = 10.0;
const HEARTBEATS: f64 = 20.0;
const RENEWALS: f64 = HEARTBEATS / 3.0;
const CANCELLED: f64 = 0.1;
/// The most rows of a page of 20, whatever the filters.
const LIST_ROWS: f64 = 250.0;
/// Milliseconds of CPU a request, with room to spare: `make bench` measures less.
const REQUEST_MS: f64 = 1.0;

// What `make scale` measures: rows that a tick reads of each run that goes on, what counting one that is over reads and writes,
// and the bytes of a run with its shards, events and indexes.
const TICK_READ: f64 = 3.0;
const COUNT_READ: f64 = 20.0;
const COUNT_WRITTEN: f64 = 3.0;
const RUN_BYTES: f64 = 1_300.0;
/// And what archiving a run reads and writes, once there are runs as old as that: it deletes them.
const ARCHIVE_READ: f64 = 90.0;
const ARCHIVE_WRITTEN: f64 = 7.0;
/// Rows that a tick reads of each environment, among [`ENVIRONMENTS`], of which it counts a cancel: for the median of 28 days.
const MEDIAN_READ: f64 = 5_600.0;
const ENVIRONMENTS: f64 = 5.0;
const RETENTION_DAYS: f64 = 90.0;
const TICKS: f64 = 24.0 * 60.0 * DAYS;

/// The hub is told of a registration, a claim and an end and, of a run that is cancelled, of its stop; and the line is opened, at
/// which it looks whether anybody watches.
const TOLD: f64 = 3.0 + CANCELLED;
const LINES: f64 = 1.0;
/// Seconds that the hub is awake for one of these, at 128 MB, with room to spare: it hibernates in between.
const AWAKE_SECONDS: f64 = 0.1;

/// Rows read and written of each request, as `tests/budget.json` has them.
pub fn budget() -> BTreeMap<String, (u64, u64)> {
    let budget: Value = serde_json::from_str(include_str!("../budget.json")).expect("the budget");
    serde_json::from_value(budget["rows read, rows written"].clone()).expect("the budget")
}

/// Requests, rows read and rows written of a run.
fn run(budget: &BTreeMap<String, (u64, u64)>) -> [f64; 3] {
    let lived = [
        (1.0, "register"),
        (1.0, "claim"),
        (1.0, "watch of a shard's orders"),
        (HEARTBEATS - RENEWALS, "heartbeat, nothing to renew"),
        (RENEWALS, "heartbeat that renews the lease"),
        (1.0 - CANCELLED, "finish"),
        (CANCELLED, "cancel of a started run"),
        (CANCELLED, "heartbeat that brings the stop order"),
        (CANCELLED, "finish that confirms a stop"),
        (1.0, "show"),
    ];
    let listed = [1.0, LIST_ROWS, 0.0];
    lived.into_iter().fold(listed, |[requests, read, written], (times, name)| {
        let (reads, writes) = budget.get(name).copied().unwrap_or_else(|| panic!("{name} has no budget"));
        [requests + times, read + times * reads as f64, written + times * writes as f64]
    })
}

/// The table, as Markdown.
pub fn table(budget: &BTreeMap<String, (u64, u64)>) -> String {
    let [requests, read, written] = run(budget);
    let mut lines: Vec<(&str, Vec<String>)> = [
        "requests, with the sweeper's",
        "rows read",
        "rows written",
        "requests to the hub",
        "GB-s of the hub",
        "GB after 90 days",
        "requests and their CPU",
        "rows",
        "the hub",
        "storage",
        "all, with the plan",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for load in LOADS {
        let runs = load * DAYS;
        let open = load * MINUTES / (24.0 * 60.0);
        let requests = runs * requests + TICKS;
        let medians = (runs * CANCELLED).min(TICKS * ENVIRONMENTS);
        let read = runs * (read + COUNT_READ + ARCHIVE_READ) + TICKS * open * TICK_READ + medians * MEDIAN_READ;
        let written = runs * (written + COUNT_WRITTEN + ARCHIVE_WRITTEN);
        let told = runs * (TOLD + LINES);
        let awake = told * AWAKE_SECONDS * 0.128;
        let stored = load * RETENTION_DAYS * RUN_BYTES / 1e9;
        let bills = [
            REQUESTS.of(requests) + CPU_MS.of(requests * REQUEST_MS),
            ROWS_READ.of(read) + ROWS_WRITTEN.of(written),
            HUB_REQUESTS.of(told) + HUB_GB_SECONDS.of(awake),
            STORAGE_GB.of(stored),
        ];
        let all = PLAN + bills.iter().sum::<f64>();
        let amounts = [requests, read, written, told, awake, stored].map(amount);
        let dollars = bills.into_iter().chain([all]).map(|bill| format!("${bill:.2}"));
        for ((_, cells), cell) in lines.iter_mut().zip(amounts.into_iter().chain(dollars)) {
            cells.push(cell);
        }
    }
    let heads: Vec<String> = LOADS.iter().map(|load| format!("{} runs a day", amount(*load))).collect();
    let mut table = format!("| a month | {} |\n|---|---|---|---|\n", heads.join(" | "));
    for (name, cells) in lines {
        writeln!(table, "| {name} | {} |", cells.join(" | ")).expect("a line");
    }
    table
}

impl Price {
    /// The dollars for so much.
    fn of(&self, used: f64) -> f64 {
        (used - self.included).max(0.0) * self.each
    }
}

/// A number as people write it, to three digits.
fn amount(n: f64) -> String {
    match n {
        1e9.. => format!("{} billion", digits(n / 1e9)),
        1e6.. => format!("{} million", digits(n / 1e6)),
        1e3.. => {
            let step = if n < 1e4 {
                10.0
            } else if n < 1e5 {
                100.0
            } else {
                1000.0
            };
            let n = ((n / step).round() * step) as u64;
            format!("{},{:03}", n / 1000, n % 1000)
        }
        _ => digits(n),
    }
}

fn digits(n: f64) -> String {
    match n {
        100.0.. => format!("{n:.0}"),
        10.0.. => format!("{n:.1}").trim_end_matches(".0").to_owned(),
        _ => format!("{n:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}
