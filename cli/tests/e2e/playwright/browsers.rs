//! Real browsers under a real Playwright, when estop, its guard or both are killed.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Fixture;
use crate::client::{Project, within};
use crate::dead::{is_recorded_as_interrupted, kill};
use crate::support::{Running, descendants, lives, processes};

/// Who is killed while the browsers are open.
#[derive(Debug, Clone, Copy)]
enum Killed {
    Estop,
    GuardThenEstop,
    EstopThenGuard,
    BothAtOnce,
}

/// The default grace, and six seconds.
const NOBODY_LEFT_WITHIN: Duration = Duration::from_secs(16);

#[test]
fn real_browsers_are_gone_whoever_is_killed() {
    let project = Project::new();
    unpack_chromium();
    let orders = [Killed::Estop, Killed::GuardThenEstop, Killed::EstopThenGuard, Killed::BothAtOnce];
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        // One of each, side by side.
        let rounds = std::thread::scope(|scope| {
            let threads = orders.map(|killed| {
                let project = &project;
                (killed, scope.spawn(move || kill_under_browsers(project, killed)))
            });
            threads.map(|(killed, thread)| (killed, thread.join().expect("a round")))
        });
        println!("nobody is left after {rounds:?}");
        longest = longest.max(rounds.map(|(_, took)| took).into_iter().max().unwrap_or_default());
    }
    println!("the longest: {longest:?}");
}

/// Returns how long it took until nobody was left.
fn kill_under_browsers(project: &Project, killed: Killed) -> Duration {
    let fixture = Fixture::new("browser.spec.js");
    let mut running =
        Running::of(fixture.estop(project).args(["run", "-e", "staging", "--", "npx", "playwright", "test"]));
    let id = running.id();
    within(Duration::from_secs(60), "two browsers", || (fixture.read("open")?.lines().count() == 2).then_some(()));
    let (family, guard) = (descendants(running.pid()), running.guard(None));
    assert!(family.len() > 10, "two browsers have many processes: {family:?}");
    let started = now();
    match killed {
        Killed::Estop => running.signal(Signal::KILL),
        Killed::GuardThenEstop => {
            kill(guard);
            running.guard(Some(guard));
            running.signal(Signal::KILL);
        }
        Killed::EstopThenGuard => {
            running.signal(Signal::KILL);
            running.says("its guard stops the tests");
            kill(guard);
        }
        Killed::BothAtOnce => {
            running.signal(Signal::KILL);
            kill(guard);
        }
    }
    within(NOBODY_LEFT_WITHIN, &format!("the end of {family:?} after {killed:?}"), || {
        family.iter().all(|pid| !lives(pid)).then_some(())
    });
    let took = started.elapsed();
    let folder = fixture.0.to_string_lossy().into_owned();
    let left: Vec<String> = processes().into_iter().map(|p| p.command).filter(|c| c.contains(&folder)).collect();
    assert!(left.is_empty(), "{left:?}");
    if matches!(killed, Killed::Estop | Killed::GuardThenEstop) {
        is_recorded_as_interrupted(project, id);
        assert!(fixture.read("report.json").is_some(), "Playwright had the time to write its report");
    }
    took
}

/// The package holds its Chromium compressed, and unpacks it where no one has yet: two at once would be in each other's way.
fn unpack_chromium() {
    let installed = std::env::var("ESTOP_TEST_PLAYWRIGHT").expect("ESTOP_TEST_PLAYWRIGHT, which `make test` sets");
    let script = "require('@sparticuz/chromium').default.executablePath()";
    let status = Command::new("node").args(["-e", script]).current_dir(installed).status().expect("node");
    assert!(status.success());
}

#[expect(clippy::disallowed_methods, reason = "a test's stopwatch")]
fn now() -> Instant {
    Instant::now()
}
