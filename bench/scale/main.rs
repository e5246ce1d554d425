//! `make scale`: what every operation costs in databases of a thousand, a hundred thousand and a million runs. Prints it, and
//! fails if rows grow with the history or the time does. `--big` adds ten million.

#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../../tests/rig/bucket.rs"]
mod bucket;
#[allow(dead_code, reason = "shared with the HTTP tests, which use all of it")]
#[path = "../../tests/http/client.rs"]
mod client;
mod contract {
    /// The service's own tests hold its answers to openapi.yaml.
    pub fn check_http(_method: &str, _path: &str, _status: u16, _body: &str) {}
}
#[path = "../counting.rs"]
mod counting;
mod day;
#[allow(dead_code, reason = "shared with `make bench`, which uses all of it")]
#[path = "../fixture.rs"]
mod fixture;
mod history;
#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../../tests/rig/http.rs"]
mod http;
#[allow(dead_code, reason = "shared with `make bench`, which uses all of it")]
#[path = "../load.rs"]
mod load;
#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../../tests/rig/process.rs"]
mod process;
mod report;
mod world;

use std::process::ExitCode;

use estop::http::operation::Access;
use estop::operations::OPERATIONS;

use crate::day::{Day, Measured};
use crate::fixture::THEN;
use crate::report::Database;
use crate::world::World;

/// How many of the runs the Worker itself makes, the newest.
const NEWEST: usize = 250;
/// How often everything is asked: at first to warm up, then to measure.
const WARM: i64 = 5;
const ROUNDS: i64 = 50;
/// How many runs a tick looks at, counts or sweeps, and how many ticks of a kind there are.
const SWEPT: i64 = 100;
const TICKS: i64 = 15;
/// Where the ids of those runs begin.
const SWEPT_FROM: i64 = 1_000_000_000;
/// How many ticks archive the oldest runs; the first is not measured.
const ARCHIVES: i64 = 9;
/// A day, in ms.
const DAY: i64 = 86_400_000;

fn main() -> ExitCode {
    let mut sizes = vec![1000, 100_000, 1_000_000];
    if std::env::args().any(|argument| argument == "--big") {
        sizes.push(10_000_000);
    }
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
    let hour_ago = i64::try_from(now).expect("a time") - 3_600_000;
    let newest = i64::try_from(NEWEST + day::WAITING).expect("few");
    let mut worlds: Vec<(World, Measured)> = Vec::new();
    for size in sizes {
        eprintln!("scale: making {size} runs");
        let mut world = World::new(size - newest, hour_ago);
        Day::new(&mut world, &mut Vec::new()).make_newest(NEWEST);
        worlds.push((world, Vec::new()));
    }
    // What has closed so far is counted, so that the days are complete. A tick counts 500.
    for (world, _) in &mut worlds {
        world.tick(THEN);
    }
    eprintln!("scale: asking");
    // Each size in turn, so that whatever else the machine does meets all of them.
    for round in 0..WARM + ROUNDS {
        for (world, measured) in &mut worlds {
            if round == WARM {
                measured.clear();
            }
            Day::new(world, measured).round(round);
        }
    }
    check_that_all_were_asked(&worlds[0].0.asked);
    for (world, _) in &mut worlds {
        Day::new(world, &mut Vec::new()).end();
        while world.tick(THEN).written > 0 {}
    }
    tick(&mut worlds);
    archive(&mut worlds, hour_ago + 200 * DAY);
    let databases: Vec<_> = worlds
        .iter()
        .map(|(world, measured)| Database { runs: world.runs + newest, bytes: world.bytes(), measured })
        .collect();
    println!("{}", report::table(&databases));
    let missed = report::missed(&databases);
    for goal in &missed {
        eprintln!("scale: MISSED: {goal}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ticks of each kind, each size in turn.
fn tick(worlds: &mut [(World, Measured)]) {
    let mut kinds = [(); 5].map(|()| vec![Vec::new(); worlds.len()]);
    for n in 0..TICKS {
        for (index, (world, _)) in worlds.iter_mut().enumerate() {
            kinds[0][index].push(world.tick(THEN + 30_000));
            for (kind, which) in [(1, "state = 'ended'"), (2, "state = 'cancelled'")] {
                let newest = format!("SELECT id FROM runs WHERE {which} ORDER BY id DESC LIMIT {SWEPT}");
                world.script(&format!("INSERT INTO closed_runs (run_id) {newest};"));
                kinds[kind][index].push(world.tick(THEN + 30_000));
            }
            world.started(SWEPT, SWEPT_FROM + n * SWEPT, THEN + 60_000);
            kinds[3][index].push(world.tick(THEN + 30_000));
            // It counts what it has swept, too.
            kinds[4][index].push(world.tick(THEN + 3_600_000));
        }
    }
    let names = [
        "tick, every run over",
        report::COUNTING,
        report::COUNTING_CANCELS,
        "tick, 100 runs going on",
        report::SWEEPING,
    ];
    for (name, costs) in names.into_iter().zip(kinds) {
        for ((_, measured), costs) in worlds.iter_mut().zip(costs) {
            measured.push((name.to_owned(), costs));
        }
    }
}

/// Ticks that archive, at a time when everything is old, each size in turn.
fn archive(worlds: &mut [(World, Measured)], at: i64) {
    for (world, _) in &mut *worlds {
        // What nobody can repeat any more would be forgotten in the same ticks.
        world.script("DELETE FROM bulk_cancels");
        let rest = world.tick(at);
        assert_eq!(rest.written, 0, "{rest:?}: there is something else to do");
        world.script(&format!("UPDATE projects SET retention_days = 90 WHERE id = {}", fixture::OLD));
    }
    let mut all = vec![Vec::new(); worlds.len()];
    for _ in 0..ARCHIVES {
        for ((world, _), costs) in worlds.iter_mut().zip(&mut all) {
            costs.push(world.tick(at));
        }
    }
    let archives = worlds[0].0.archives();
    assert_eq!(archives.len(), all[0].len(), "each tick puts an object into the bucket: {archives:?}");
    assert!(
        archives.iter().all(|(_, last)| *last <= history::OLDEST),
        "{archives:?}: they have others than those alike"
    );
    for ((world, measured), mut costs) in worlds.iter_mut().zip(all) {
        assert_eq!(world.archives(), archives, "the same runs at each size");
        measured.push((format!("tick that archives {} runs", world::ARCHIVED), costs.split_off(1)));
    }
}

/// Nothing that works in a project is forgotten; a watch is no request that ends.
fn check_that_all_were_asked(asked: &[String]) {
    for operation in OPERATIONS {
        let works_in_a_project =
            matches!(operation.access, Access::Key(..) | Access::Lease(..)) && !operation.pattern.ends_with("/watch");
        assert!(!works_in_a_project || asked.contains(&operation.name()), "{operation:?} is not measured");
    }
}
