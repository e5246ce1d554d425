//! The signals that estop receives.

use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::supervisor::{Event, Signal};

/// Turns signals into events from now on.
pub fn watch(events: Sender<Event>) -> std::io::Result<()> {
    let mut caught = vec![SIGINT, SIGTERM, SIGQUIT, SIGTSTP, SIGCONT];
    // Under `nohup` a hang-up must not end the tests.
    if !hangup_is_ignored() {
        caught.push(SIGHUP);
    }
    let mut signals = Signals::new(caught)?;
    thread::spawn(move || {
        for number in &mut signals {
            if event(number).is_some_and(|event| events.send(event).is_err()) {
                return;
            }
        }
    });
    Ok(())
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
