//! No order to stop is lost, whatever breaks just before or after it is given: real `estop run`s behind a relay, and a
//! Worker that is killed and started again over the same database.
//!
//! `ESTOP_SOAK_ORDERS` sets how many orders are given for each way to break something (default 20).

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::backend::Fault;
use crate::client::{Project, eventually, within};
use crate::random::{Random, setting};
use crate::relay::Relay;
use crate::workerd::{Rig, now};

/// How many runs there are at a time.
const AT_ONCE: u64 = 10;

/// The longest that an order may take once the service is there again. It is 2 s on a machine that has time, and what it
/// was is printed; a heartbeat of a run that believes its line is open would take up to 30 s.
const SOON: Duration = Duration::from_secs(8);

/// One at a time: forty runs on two cores would measure the machine.
static ALONE: Mutex<()> = Mutex::new(());

const HEARTBEAT: &str = "/heartbeat ";
const WATCH: &str = "/watch ";

/// Says when it is told to stop.
const SCRIPT: &str = "trap 'echo heard; exit 0' INT; echo $ESTOP_RUN_ID; sleep 600";

/// `estop run`, as `cargo build` has left it beside these tests.
struct Runner {
    process: Child,
    /// What the tests say, and when they said it.
    said: Receiver<(String, Instant)>,
    id: i64,
}

pub fn estop() -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let estop = tests.parent().and_then(|deps| deps.parent()).expect("a folder").join("estop");
    assert!(estop.exists(), "no {}: run `cargo build --package estop-cli`", estop.display());
    estop
}

impl Runner {
    fn start(url: &str, key: &str) -> Self {
        let mut command = Command::new(estop());
        command.args(["run", "-e", "staging", "--", "sh", "-c", SCRIPT]);
        for name in ["GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "HTTP_PROXY", "http_proxy"] {
            command.env_remove(name);
        }
        command.env("ESTOP_URL", url).env("ESTOP_KEY", key).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("estop");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = tell.send((line, now()));
            }
        });
        let (line, _) = said.recv_timeout(Duration::from_secs(30)).expect("the tests start");
        Self { process, said, id: line.parse().expect("a run's id") }
    }

    /// Some of them, with their lines open.
    fn start_some(relay: &Relay, project: &Project) -> Vec<Self> {
        let before = relay.seen(HEARTBEAT);
        let runners: Vec<Self> = (0..AT_ONCE).map(|_| Self::start(&relay.url, &project.key)).collect();
        // Each sends one as soon as its line is open; there is none other until 30 s later.
        within(Duration::from_secs(20), "open lines", || {
            (relay.seen(HEARTBEAT) - before >= runners.len()).then_some(())
        });
        runners
    }

    /// When the tests heard of the order.
    fn heard(&self) -> Instant {
        let (line, at) = self.said.recv_timeout(Duration::from_secs(60)).expect("the order is not lost");
        assert_eq!(line, "heard");
        at
    }

    /// Waits until estop has ended as it does after a cancel.
    fn end(mut self) {
        assert_eq!(self.process.wait().expect("an end").code(), Some(120));
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What breaks, and when.
#[derive(Debug, Clone, Copy)]
enum Break {
    /// Each socket is cut, and then the order is given.
    Sockets,
    /// The Worker is killed, another one starts, and it gets the order.
    WorkerBefore,
    /// The Worker is killed as soon as it has answered the last of the cancels.
    WorkerAfter,
    /// The Worker is killed in the middle of the cancels. Those that were not answered are sent again.
    WorkerMeanwhile,
    /// The Worker is stopped for two seconds, and with it every connection stands still.
    WorkerFrozen,
    /// The database loses its connection, or refuses for being overloaded, before or after it has committed.
    Database,
    /// No socket opens any more.
    Refused,
}

/// Gives orders while this breaks, and checks that each is heard soon after the service is there again.
fn break_and_stop(what: Break) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (orders, mut random) = (setting("ESTOP_SOAK_ORDERS", 20), Random(setting("ESTOP_SOAK_SEED", 15)));
    let mut rig = Rig::start();
    let mut project = rig.project();
    let relay = Relay::before(&rig.server.url);
    let mut spans = Vec::new();
    for _ in 0..orders.div_ceil(AT_ONCE) {
        let runners = Runner::start_some(&relay, &project);
        let ids: Vec<i64> = runners.iter().map(|runner| runner.id).collect();
        let mut restart = |project: &mut Project| {
            rig.kill_and_start_again();
            relay.lead_to(&rig.server.url);
            project.server = rig.server.clone();
            now()
        };
        let back = match what {
            Break::Sockets => {
                relay.kill();
                let begun = now();
                ids.iter().for_each(|id| assert_eq!(project.cancel(*id).status, 200));
                begun
            }
            Break::WorkerBefore => {
                let back = restart(&mut project);
                ids.iter().for_each(|id| assert_eq!(project.cancel(*id).status, 200));
                back
            }
            Break::WorkerAfter => {
                ids.iter().for_each(|id| assert_eq!(project.cancel(*id).status, 200));
                restart(&mut project)
            }
            Break::WorkerMeanwhile => {
                let (server, all) = (project.server.clone(), ids.clone());
                let bearer = format!("Bearer {}", project.key);
                let (tell, told) = channel();
                let thread = std::thread::spawn(move || {
                    let path = |id: &i64| format!("/api/test-runs/{id}/cancel");
                    for id in &all {
                        let headers = [("Authorization", bearer.as_str())];
                        if server.try_send("POST", &path(id), &headers, b"").is_err() {
                            return;
                        }
                        let _ = tell.send(());
                    }
                });
                for _ in 0..random.below(AT_ONCE) {
                    let _ = told.recv();
                }
                let back = restart(&mut project);
                thread.join().expect("a client");
                cancel_again(&project, &ids);
                back
            }
            Break::WorkerFrozen => {
                let freeze = |signal| nix::sys::signal::kill(rig.pid(), signal).expect("it lives");
                freeze(Signal::SIGSTOP);
                let (server, all) = (project.server.clone(), ids.clone());
                let bearer = format!("Bearer {}", project.key);
                let thread = std::thread::spawn(move || {
                    for id in all {
                        let path = format!("/api/test-runs/{id}/cancel");
                        assert_eq!(server.send("POST", &path, &[("Authorization", &bearer)], b"").status, 200);
                    }
                });
                std::thread::sleep(Duration::from_secs(2));
                freeze(Signal::SIGCONT);
                let back = now();
                thread.join().expect("a client");
                back
            }
            Break::Database => {
                let faults = [
                    Fault::ErrorBefore("Network connection lost."),
                    Fault::ErrorAfter("Network connection lost."),
                    Fault::ClosedAfter,
                    Fault::GarbledAfter,
                    Fault::ErrorAfter("D1 DB is overloaded. Requests queued for too long."),
                ];
                rig.backend.inject(faults[usize::try_from(random.below(5)).expect("small")], u32::MAX);
                ids.iter().for_each(|id| assert_eq!(project.cancel(*id).status, 503));
                rig.backend.heal();
                let back = now();
                cancel_again(&project, &ids);
                back
            }
            Break::Refused => {
                relay.refuse(Some(("502 Bad Gateway", "<html>")));
                relay.kill();
                let begun = now();
                ids.iter().for_each(|id| assert_eq!(project.cancel(*id).status, 200));
                begun
            }
        };
        for runner in runners {
            spans.push(runner.heard().saturating_duration_since(back));
            let id = runner.id;
            runner.end();
            eventually("the stop is confirmed", || (project.show(id)["stop"]["outcome"] == "graceful").then_some(()));
        }
    }
    spans.sort_unstable();
    let [median, longest] = [spans[spans.len() / 2], spans[spans.len() - 1]];
    println!(
        "{what:?}: {} orders, none lost; heard after {median:.1?} in the median, {longest:.1?} at most",
        spans.len()
    );
    assert!(longest < SOON, "{what:?}: {longest:?}");
}

/// 412 for those that had been cancelled already.
fn cancel_again(project: &Project, ids: &[i64]) {
    ids.iter().for_each(|id| assert!(matches!(project.cancel(*id).status, 200 | 412)));
}

#[test]
fn an_order_is_heard_although_all_sockets_were_cut_just_before() {
    break_and_stop(Break::Sockets);
}

#[test]
fn an_order_is_heard_although_the_worker_was_killed_just_before() {
    break_and_stop(Break::WorkerBefore);
}

#[test]
fn an_order_is_heard_although_the_worker_was_killed_just_after() {
    break_and_stop(Break::WorkerAfter);
}

#[test]
fn an_order_is_heard_although_the_worker_was_killed_meanwhile() {
    break_and_stop(Break::WorkerMeanwhile);
}

#[test]
fn an_order_is_heard_although_the_worker_stood_still() {
    break_and_stop(Break::WorkerFrozen);
}

#[test]
fn an_order_is_heard_although_the_database_was_gone() {
    break_and_stop(Break::Database);
}

#[test]
fn an_order_is_heard_although_no_socket_opens() {
    break_and_stop(Break::Refused);
}

/// With the timings that users have.
#[test]
fn a_line_that_is_cut_silently_costs_a_heartbeat_and_is_noticed() {
    let rig = Rig::start();
    let project = rig.project();
    let [stopped, watched] = [(); 2].map(|()| Relay::before(&rig.server.url));
    let [runner, other] = [&stopped, &watched].map(|relay| Runner::start(&relay.url, &project.key));
    for relay in [&stopped, &watched] {
        eventually("an open line", || (relay.seen(WATCH) == 1 && relay.seen(HEARTBEAT) == 1).then_some(()));
        relay.swallow();
    }
    let cut = now();
    assert_eq!(project.cancel(runner.id).status, 200);
    let heard = runner.heard().saturating_duration_since(cut);
    // A second and a third one are 2 s after each other, and not 30.
    within(Duration::from_secs(50), "short heartbeats", || (watched.seen(HEARTBEAT) >= 4).then_some(()));
    let noticed = cut.elapsed();
    println!("cut silently: the order was heard after {heard:.1?}; heartbeats came often again after {noticed:.1?}");
    assert!(heard < Duration::from_secs(31), "{heard:?}");
    assert!(noticed < Duration::from_secs(45), "{noticed:?}");
    runner.end();
    assert_eq!(project.cancel(other.id).status, 200);
    other.heard();
    other.end();
}

/// `make latency`: the Worker is 20 ms from its database, as it may well be on Cloudflare.
#[test]
#[ignore = "measures, with a program that `make latency` builds"]
fn latency_with_20_ms_of_d1() {
    let rig = Rig::start();
    let project = rig.project();
    rig.backend.lag(Duration::from_millis(20));
    let program = std::env::var("ESTOP_LATENCY").expect("ESTOP_LATENCY: the program that measures");
    let mut command = Command::new(program);
    command.args([setting("RUNS", 50).to_string().as_str(), "--with-push"]);
    let status = command.env("ESTOP_URL", &rig.server.url).env("ESTOP_KEY", &project.key).status().expect("a program");
    assert!(status.success());
}
