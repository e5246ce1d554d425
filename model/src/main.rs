//! `make model`: explores every configuration to its end, and prints how many states there are and what holds in all of them.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use estop_model::configuration::Configuration;
use stateright::{Checker, Expectation, Model};

/// The largest first, for two threads take them in turn.
const EXPLORED: [Configuration; 13] = [
    Configuration::FULL_PROTECTED,
    Configuration::FULL_QUEUEING,
    Configuration::FULL,
    Configuration::TWO_SHARDS.with_slow_answers(),
    Configuration::QUEUEING.with_faults(2),
    Configuration::SUPERSEDING.with_faults(2),
    Configuration::PROTECTED.with_faults(2),
    Configuration::WATCHED.with_faults(2),
    Configuration::QUEUEING.with_slow_answers(),
    Configuration::SUPERSEDING.with_slow_answers(),
    Configuration::PROTECTED.with_slow_answers(),
    Configuration::TWO_RUNNERS.with_slow_answers().with_faults(2),
    Configuration::ONE_SHARD.with_slow_answers().with_faults(2),
];

/// Each explored by one thread, so that the depth is that of the shortest paths and every number is the same every time.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let only = std::env::args().nth(1).unwrap_or_default();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(configuration) = EXPLORED.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if configuration.to_string().contains(&only) {
                        let (report, holds) = explore(*configuration);
                        println!("{report}");
                        failed.fetch_or(!holds, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if let Some(peak) = peak_memory() {
        println!("peak memory: {peak}");
    }
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What was found, and whether everything holds.
fn explore(configuration: Configuration) -> (String, bool) {
    let started = now();
    let checker = configuration.checker().spawn_bfs().join();
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    let seconds = started.elapsed().as_secs();
    let mut report = format!("{configuration}: {states} states, {steps} steps, depth {depth}, {seconds} s\n");
    let mut all_hold = true;
    for property in configuration.properties() {
        let found = checker.discovery(property.name);
        let is_possible = property.expectation == Expectation::Sometimes;
        let holds = found.is_some() == is_possible;
        all_hold &= holds;
        let verdict = match (holds, is_possible) {
            (true, false) => "holds",
            (true, true) => "happens",
            (false, _) => "DOES NOT HOLD",
        };
        let _ = writeln!(report, "    {verdict}: {}", property.name);
        if let Some(path) = found.filter(|_| !holds) {
            let _ = writeln!(report, "        {:?}", path.into_actions());
        }
    }
    (report, all_hold)
}

#[expect(clippy::disallowed_methods, reason = "only to say how long it took")]
fn now() -> Instant {
    Instant::now()
}

/// Where the system tells (Linux).
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().to_owned())
}
