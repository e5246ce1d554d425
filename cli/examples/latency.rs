//! Measures how long a cancel takes to reach the tests: from the moment `estop cancel`'s request is sent to COMMAND's SIGINT.
//!
//! ```text
//! cargo run -p estop-cli --example latency [RUNS [--with-push]]
//! ```
//!
//! Each run is measured with push and without, alone and as four shards, of which the first and the last are told. RUNS
//! is 200 with push and a quarter of it without, where each takes a second; with `--with-push` not at all.
//!
//! It takes `ESTOP_URL`, `ESTOP_KEY` (with the scopes `run` and `cancel`) and `ESTOP_ENVIRONMENT` (default `staging`),
//! and runs the `estop` that was built beside this example.

use std::error::Error;
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use ureq::Agent;

/// The argument with which this program is the COMMAND that is measured. A shell would take milliseconds of its own.
const LISTEN: &str = "--listen";

const WITH_PUSH: &str = "--with-push";

/// How long a run is given to open its line.
const SETTLE: Duration = Duration::from_millis(500);

/// What heartbeats without push come in, over which the cancels are spread.
const HEARTBEAT: Duration = Duration::from_secs(2);

type Anyhow<T> = Result<T, Box<dyn Error>>;

fn main() -> Anyhow<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(LISTEN) {
        return listen();
    }
    let runs: u32 = argument.map_or(Ok(200), |text| text.parse())?;
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(|examples| examples.parent()).ok_or("no folder")?.to_owned();
    let measure = Measure {
        estop: folder.join("estop"),
        agent: ureq::agent(),
        tests: example,
        url: std::env::var("ESTOP_URL")?,
        key: std::env::var("ESTOP_KEY")?,
        environment: std::env::var("ESTOP_ENVIRONMENT").unwrap_or_else(|_| "staging".to_owned()),
    };
    println!("cancel sent to SIGINT   shards   order    runs      p50      p95      p99      max");
    let without_push = if std::env::args().nth(2).as_deref() == Some(WITH_PUSH) { 0 } else { runs.div_ceil(4) };
    for (push, runs) in [(true, runs), (false, without_push)].into_iter().filter(|(_, runs)| *runs > 0) {
        for shards in [1, 4] {
            let mut spans = Vec::new();
            for round in 0..runs {
                spans.push(measure.once(push, shards, round, runs)?);
            }
            let label = if push { "with push" } else { "with --no-push" };
            let first = spans.iter().filter_map(|spans| spans.first().copied()).collect();
            print(label, shards, if shards == 1 { "only" } else { "first" }, first);
            if shards > 1 {
                print(label, shards, "last", spans.iter().filter_map(|spans| spans.last().copied()).collect());
            }
        }
    }
    Ok(())
}

/// Says which run it belongs to and, in nanoseconds, when it was interrupted.
fn listen() -> Anyhow<()> {
    let mut signals = Signals::new([SIGINT])?;
    println!("{}", std::env::var("ESTOP_RUN_ID")?);
    signals.forever().next();
    println!("{}", since_epoch()?.as_nanos());
    Ok(())
}

struct Measure {
    estop: PathBuf,
    /// Has a connection open, as a page or a service that cancels would.
    agent: Agent,
    tests: PathBuf,
    url: String,
    key: String,
    environment: String,
}

struct Shard {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    id: String,
}

impl Measure {
    /// Starts a run, cancels it, and returns how long each of its shards took to hear of it, the fastest first.
    fn once(&self, push: bool, shards: u32, round: u32, runs: u32) -> Anyhow<Vec<Duration>> {
        let group = format!("latency-{}-{round}", since_epoch()?.as_nanos());
        let mut running =
            (1..=shards).map(|number| self.start(push, &group, number, shards)).collect::<Anyhow<Vec<_>>>()?;
        let id = running.first().map(|shard| shard.id.clone()).ok_or("no shard")?;
        std::thread::sleep(SETTLE + if push { Duration::ZERO } else { HEARTBEAT * round / runs });
        self.agent.get(format!("{}/healthz", self.url)).call()?.body_mut().read_to_vec()?;
        let sent = since_epoch()?;
        let url = format!("{}/api/test-runs/{id}/cancel", self.url);
        let answer = self.agent.post(&url).header("Authorization", format!("Bearer {}", self.key)).send_empty()?;
        if answer.status() != 200 {
            return Err("the cancel was refused".into());
        }
        let mut spans = Vec::new();
        for shard in &mut running {
            let interrupted: u64 = shard.lines.next().ok_or("the tests got no SIGINT")??.trim().parse()?;
            spans.push(Duration::from_nanos(interrupted).saturating_sub(sent));
        }
        for mut shard in running {
            shard.process.wait()?;
        }
        spans.sort_unstable();
        Ok(spans)
    }

    fn start(&self, push: bool, group: &str, number: u32, shards: u32) -> Anyhow<Shard> {
        let mut command = Command::new(&self.estop);
        command.env("ESTOP_URL", &self.url).env("ESTOP_KEY", &self.key);
        command.args(["run", "-e", &self.environment, "--group", group, "--shard", &format!("{number}/{shards}")]);
        if !push {
            command.arg("--no-push");
        }
        command.arg("--").arg(&self.tests).arg(LISTEN).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        let id = lines.next().ok_or("the tests did not start")??;
        Ok(Shard { process, lines, id })
    }
}

fn print(label: &str, shards: u32, order: &str, mut spans: Vec<Duration>) {
    spans.sort_unstable();
    let at = |percent: usize| {
        let span = spans.get((spans.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
        format!("{:.1} ms", span.as_secs_f64() * 1000.0)
    };
    let (runs, [p50, p95, p99, max]) = (spans.len(), [at(50), at(95), at(99), at(100)]);
    println!("{label:<22}  {shards:>6}   {order:<5}  {runs:>6}  {p50:>9}{p95:>9}{p99:>9}{max:>9}");
}

#[expect(clippy::disallowed_methods, reason = "compared with the wall clock of the tests' shell")]
fn since_epoch() -> Anyhow<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
