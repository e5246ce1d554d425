//! The signals that estop receives.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::supervisor::{Event, Signal};
use crate::clock;

/// For so long another signal of a kind is an echo of the first. Ctrl-C at a terminal reaches every process of the
/// foreground group, and npx, which is one of them, sends estop what it gets. Nobody presses the keys twice so fast.
const ECHO: Duration = Duration::from_millis(500);

/// The variable in which the launcher leaves its process id.
pub const LAUNCHER: &str = "ESTOP_LAUNCHER";

/// Turns signals into events from now on.
pub fn watch(events: Sender<Event>) -> std::io::Result<()> {
    let mut caught = vec![SIGINT, SIGTERM, SIGQUIT, SIGTSTP, SIGCONT];
    // Under `nohup` a hang-up must not end the tests.
    if !hangup_is_ignored() {
        caught.push(SIGHUP);
    }
    let mut signals = Signals::new(caught)?;
    thread::spawn(move || {
        let mut echoes = Echoes::default();
        for number in &mut signals {
            if echoes.is_echo(number, clock::now()) {
                continue;
            }
            if event(number).is_some_and(|event| events.send(event).is_err()) {
                return;
            }
        }
    });
    Ok(())
}

/// When each signal last counted.
#[derive(Default)]
struct Echoes(BTreeMap<i32, Duration>);

impl Echoes {
    fn is_echo(&mut self, number: i32, now: Duration) -> bool {
        let is_echo = self.0.get(&number).is_some_and(|at| now.saturating_sub(*at) < ECHO);
        // Suspending and resuming may alternate fast, and do no harm twice.
        if is_echo || matches!(number, SIGTSTP | SIGCONT) {
            return is_echo;
        }
        self.0.insert(number, now);
        false
    }
}

/// If the launcher of the npm package could not become estop, ends estop with SIGTERM when the launcher is killed.
#[cfg(target_os = "linux")]
pub fn end_with_launcher() {
    use rustix::process::{self, Pid};

    let launcher = std::env::var(LAUNCHER).ok().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    if launcher.is_none() || launcher != process::getppid() {
        return;
    }
    let _ = process::set_parent_process_death_signal(Some(process::Signal::TERM));
    // It may have been killed before that.
    if launcher != process::getppid() {
        let _ = process::kill_process(process::getpid(), process::Signal::TERM);
    }
}

#[cfg(not(target_os = "linux"))]
pub fn end_with_launcher() {}

fn event(number: i32) -> Option<Event> {
    match number {
        SIGTSTP => Some(Event::Suspend),
        SIGCONT => Some(Event::Resume),
        _ => Signal::ALL.into_iter().find(|signal| signal.number() == number).map(Event::Signal),
    }
}

/// Whether SIGHUP was ignored when estop started. Only Linux tells without unsafe code.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_a_kind_at_once_are_one() {
        let mut echoes = Echoes::default();
        let mut counts = |number, millis| !echoes.is_echo(number, Duration::from_millis(millis));
        assert!(counts(SIGINT, 1_000));
        assert!(!counts(SIGINT, 1_003) && !counts(SIGINT, 1_499));
        assert!(counts(SIGTERM, 1_100), "another kind");
        // From the one that counted, so that whoever keeps pressing is heard.
        assert!(counts(SIGINT, 1_500));
        assert!(counts(SIGCONT, 1_600) && counts(SIGCONT, 1_601));
    }
}
