//! The signals that estop receives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::supervisor::{Event, Signal};
use crate::clock;

/// For so long another signal of a kind is an echo of the first. Ctrl-C at a terminal reaches every process of the
/// foreground group, and npx, which is one of them, sends estop what it gets. Nobody presses the keys twice so fast.
pub const ECHO: Duration = Duration::from_millis(500);

/// Whether one has come that is forwarded to COMMAND.
#[derive(Clone, Default)]
pub struct Heard(Arc<AtomicBool>);

impl Heard {
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Turns signals into events from now on.
pub fn watch(events: Sender<Event>) -> std::io::Result<Heard> {
    let mut caught = vec![SIGINT, SIGTERM, SIGQUIT, SIGTSTP, SIGCONT];
    // Under `nohup` a hang-up must not end the tests.
    if !hangup_is_ignored() {
        caught.push(SIGHUP);
    }
    let mut signals = Signals::new(caught)?;
    let heard = Heard::default();
    let hears = heard.clone();
    thread::spawn(move || {
        let mut echoes = Echoes::default();
        for number in &mut signals {
            if echoes.is_echo(number, clock::now()) {
                continue;
            }
            let Some(event) = event(number) else { continue };
            hears.0.fetch_or(matches!(event, Event::Signal(_)), Ordering::Relaxed);
            if events.send(event).is_err() {
                return;
            }
        }
    });
    Ok(heard)
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
