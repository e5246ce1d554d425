//! A day of a million runs over eight databases, in a quarter of an hour: `make scale` ends with it. It prints how busy each
//! database's writer was, how late the sweeper's clocks were and what became of the runs, and fails if a goal is missed.
//! `--runs 8000` makes a smaller day.

#[path = "mod.rs"]
mod day;
#[path = "../../tests/rig/history.rs"]
mod history;
#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../../tests/rig/random.rs"]
mod random;

use std::path::Path;
use std::process::ExitCode;

const DATABASES: u8 = 8;
const RUNS: i64 = 1_000_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--runs").skip(1);
    let runs = arguments.next().map_or(RUNS, |number| number.parse().expect("a number after --runs"));
    let begun = day::clock();
    let databases =
        day::pass(DATABASES, runs / i64::from(DATABASES), &Path::new(env!("CARGO_TARGET_TMPDIR")).join("day"));
    println!("{}", day::table(&databases));
    eprintln!("day: {runs} runs took {:.0} s", begun.elapsed().as_secs_f64());
    let missed = day::missed(&databases);
    for goal in &missed {
        eprintln!("day: MISSED: {goal}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
