//! Measures how long a cancel takes to reach the tests: from its 200 to COMMAND's SIGINT.
//!
//! ```text
//! cargo run -p estop-cli --example latency [RUNS]
//! ```
//!
//! It takes `ESTOP_URL`, `ESTOP_KEY` (with the scopes `run` and `cancel`) and `ESTOP_ENVIRONMENT` (default `staging`),
//! and runs the `estop` that was built beside this example.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Prints the time of its SIGINT in nanoseconds and exits.
const TESTS: &str = "trap 'date +%s%N; exit 0' INT; echo $ESTOP_RUN_ID; while :; do sleep 0.005; done";

fn main() -> Result<(), Box<dyn Error>> {
    let runs: u32 = std::env::args().nth(1).map_or(Ok(50), |text| text.parse())?;
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(|examples| examples.parent()).ok_or("no folder")?;
    let estop = folder.join("estop");
    let environment = std::env::var("ESTOP_ENVIRONMENT").unwrap_or_else(|_| "staging".to_owned());
    let mut spans = Vec::new();
    for round in 0..runs {
        let mut running = Command::new(&estop)
            .args(["run", "-e", &environment, "--", "sh", "-c", TESTS])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(running.stdout.take().ok_or("no output")?).lines();
        let id = lines.next().ok_or("the tests did not start")??;
        // Spreads the cancels over the heartbeat interval.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 2000 / u64::from(runs)));
        let cancel =
            Command::new(&estop).args(["cancel", &id, "--reason", "measured"]).stdout(Stdio::null()).status()?;
        let answered = since_epoch()?;
        let interrupted: u64 = lines.next().ok_or("the tests got no SIGINT")??.trim().parse()?;
        running.wait()?;
        if !cancel.success() {
            return Err("the cancel was refused".into());
        }
        spans.push(Duration::from_nanos(interrupted).saturating_sub(answered));
    }
    spans.sort_unstable();
    let at = |percent: usize| {
        spans.get((spans.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    };
    println!("cancel to SIGINT over {} runs: p50 {:?}, p95 {:?}, longest {:?}", spans.len(), at(50), at(95), at(100));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "compared with the wall clock of the tests' shell")]
fn since_epoch() -> Result<Duration, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
