//! `make model`: explores every configuration to its end.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Instant;

use estop_model::configuration::{Behaviour, Configuration};
use stateright::{Checker, Expectation, Model};

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let explored = [
        Configuration::ONE_SHARD.with_faults(2),
        Configuration::WATCHED.with_faults(2),
        Configuration::TWO_RUNNERS.with_faults(2),
        Configuration::SUPERSEDING.with_faults(2),
        Configuration::QUEUEING.with_faults(2),
        Configuration::PROTECTED,
        Configuration::TWO_SHARDS,
        Configuration::FULL,
        Configuration::FULL.with_behaviour(Behaviour::QueueNew),
    ];
    let threads = std::env::var("THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut all_hold = true;
    for configuration in explored.iter().filter(|c| only.as_ref().is_none_or(|only| c.name.contains(only.as_str()))) {
        let started = Instant::now();
        let checker = configuration.checker().threads(threads).spawn_bfs().join();
        let properties = configuration.properties();
        println!(
            "{} ({:?}), {} faults: {} states, {} steps, depth {}, {:.1} s",
            configuration.name,
            configuration.behaviour,
            configuration.faults,
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            started.elapsed().as_secs_f32(),
        );
        for property in &properties {
            let found = checker.discovery(property.name);
            let holds = found.is_some() == (property.expectation == Expectation::Sometimes);
            all_hold &= holds;
            println!("  {} {}", if holds { "holds:" } else { "DOES NOT HOLD:" }, property.name);
            if !holds && let Some(path) = found {
                for (_, action) in path.into_vec() {
                    println!("      {action:?}");
                }
            }
        }
    }
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
