//! `make bench`: estop beside what one would pick instead. Writes `bench/results.md` and `bench/results.svg`,
//! and fails if a goal is missed. `--quick` measures less, writes nothing and fails at no goal; `--cpu` measures CPU
//! alone, and prints it. With `ESTOP_BENCH_AGAINST` two builds of estop are measured in one run (`peer.rs`).

#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../tests/rig/backend.rs"]
mod backend;
#[allow(dead_code, reason = "shared with the HTTP tests, which use all of it")]
#[path = "../tests/http/client.rs"]
mod client;
mod contract {
    /// The service's own tests hold its answers to openapi.yaml.
    pub fn check_http(_method: &str, _path: &str, _status: u16, _body: &str) {}
}
mod counting;
mod fixture;
#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../tests/rig/http.rs"]
mod http;
mod load;
mod peer;
mod plot;
#[path = "../tests/rig/process.rs"]
mod process;
mod report;
mod rounds;
mod rows;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use estop_protocol::time::Timestamp;

use crate::peer::{Built, PEERS};
use crate::report::Results;
use crate::rounds::{Arena, CONNECTIONS, FEW, Figure, LAGGING_CONNECTIONS, Plan};

fn main() -> ExitCode {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let quick = asked("--quick");
    let plan = if quick {
        Plan { rounds: 3, cpu_rounds: 5, alone: 200, lagging: 48, crowd: 600, starts: 3 }
    } else {
        Plan { rounds: 9, cpu_rounds: 31, alone: 200, lagging: 160, crowd: 1500, starts: 10 }
    };
    let sizes: &[i64] = if quick { &[1000, 100_000] } else { &[1000, 100_000, 1_000_000] };
    let built = Built::new();
    let mut arena = Arena::new(&built);
    let trips = arena.compare();
    let mut figures = arena.cpu(plan);
    if asked("--cpu") {
        println!("{}", report::per_op(&figures, Figure::Cpu, 1));
        return ExitCode::SUCCESS;
    }
    figures.append(&mut arena.times(plan));
    let starts = arena.starts(plan.starts);
    drop(arena);
    let rows = rows::count(&built, sizes);
    let results = Results {
        figures,
        trips,
        starts,
        sizes: PEERS.map(|peer| (peer, built.size(peer))).into(),
        rows,
        setting: setting(&built, plan),
    };
    if quick {
        println!("{}", results.page());
    } else {
        write(&results);
        println!("{}", results.summary());
    }
    let missed: Vec<_> = results.goals().into_iter().filter(|goal| !goal.held).collect();
    for goal in &missed {
        eprintln!("bench: MISSED: {}: {}", goal.claim, goal.measured);
    }
    // So few rounds decide nothing.
    if quick || missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// When, on what, with which versions.
fn setting(built: &Built, plan: Plan) -> Vec<String> {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
    let now = Timestamp(i64::try_from(now).unwrap_or_default()).to_string();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = |tool: &Path| {
        let shown = Command::new(tool).arg("--version").output().expect("a version");
        String::from_utf8_lossy(&shown.stdout).trim().to_owned()
    };
    vec![
        format!("{}, {cpu}, {cores} cores", now.get(..10).unwrap_or_default()),
        format!(
            "{}, {}, Hono {}, esbuild {}",
            version(&process::tool("workerd")),
            version(Path::new("rustc")),
            built.hono,
            version(&process::tool("esbuild"))
        ),
        format!(
            "{} rounds of CPU, {FEW} requests to each peer in turn, and {} of latency and throughput; {} requests a round on \
             one connection, {} on {LAGGING_CONNECTIONS} where D1 takes its time, {} on {CONNECTIONS}",
            plan.cpu_rounds, plan.rounds, plan.alone, plan.lagging, plan.crowd
        ),
        report::history(),
    ]
}

/// Writes the page and the plot.
fn write(results: &Results) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
    fs::write(folder.join("results.md"), results.page()).expect("a file");
    plot::draw(results, &folder.join("results.svg")).expect("a plot");
}
