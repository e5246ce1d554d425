//! COMMAND and everything that it starts: its process group, and on Linux also the processes that left the group.
//!
//! The browsers that Playwright starts are in groups of their own, and outlive a Playwright that was killed. On Linux
//! estop therefore makes itself the subreaper of its descendants: orphans become its children, so that none escapes and
//! none stays a zombie, which would look like a live member of the group.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::signal::{SigSet, Signal as BlockedSignal};
use rustix::io::Errno;
use rustix::process::{self, Pid, WaitOptions, WaitStatus};

use super::supervisor::{Event, ExitStatus, Remaining, Signal};

#[derive(Debug)]
pub struct ProcessGroup {
    /// The group's id, which is COMMAND's process id.
    id: Pid,
    /// Whether it is the terminal's foreground group.
    has_terminal: Arc<AtomicBool>,
}

impl ProcessGroup {
    /// Starts COMMAND in a process group of its own, with these variables set or removed. Its exit becomes an event.
    pub fn start(
        program: &str,
        arguments: &[String],
        environment: &[(&str, Option<String>)],
        events: Sender<Event>,
    ) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        // If this fails, the group is still supervised.
        let _ = process::set_child_subreaper(Some(process::getpid()));
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let id = Pid::from_child(&command.spawn()?);
        let has_terminal = Arc::new(AtomicBool::new(false));
        let shared = has_terminal.clone();
        thread::spawn(move || reap(id, &shared, &events));
        Ok(Self { id, has_terminal })
    }

    /// Sends a signal to the group, as a terminal does, so that a test runner can close its browsers in order. With
    /// `strays`, SIGTERM and SIGKILL also go to the processes that left the group.
    pub fn signal(&self, signal: Signal, strays: bool) {
        let os_signal = os_signal(signal);
        // ESRCH: already gone. EPERM: nothing can be done.
        let _ = process::kill_process_group(self.id, os_signal);
        if strays && matches!(signal, Signal::Terminate | Signal::Kill) {
            for pid in descendants().into_iter().filter(|pid| *pid != self.id) {
                let _ = process::kill_process(pid, os_signal);
            }
        }
    }

    pub fn remaining(&self) -> Remaining {
        match process::test_kill_process_group(self.id) {
            Err(Errno::SRCH) if descendants().is_empty() => Remaining::None,
            Err(Errno::SRCH) => Remaining::Strays,
            _ => Remaining::Group,
        }
    }
}

fn os_signal(signal: Signal) -> process::Signal {
    match signal {
        Signal::Hangup => process::Signal::HUP,
        Signal::Interrupt => process::Signal::INT,
        Signal::Quit => process::Signal::QUIT,
        Signal::Terminate => process::Signal::TERM,
        Signal::Kill => process::Signal::KILL,
    }
}

/// Waits for COMMAND and for the orphans that become our children, until there are none.
fn reap(command: Pid, has_terminal: &AtomicBool, events: &Sender<Event>) {
    loop {
        match process::wait(WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) if pid == command => match exit_status(status) {
                Some(exited) => {
                    // The receiver is only gone when estop is about to exit.
                    let _ = events.send(Event::Exited(exited));
                }
                None => hand_over_terminal(command, status, has_terminal),
            },
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn exit_status(status: WaitStatus) -> Option<ExitStatus> {
    status.exit_status().map(ExitStatus::Code).or_else(|| status.terminating_signal().map(ExitStatus::Signal))
}

/// The kernel stops a background group that reads from the terminal. It then becomes the foreground group and
/// continues; from then on Ctrl-C reaches it directly.
fn hand_over_terminal(command: Pid, status: WaitStatus, has_terminal: &AtomicBool) {
    let wants_terminal = [process::Signal::TTIN, process::Signal::TTOU].map(process::Signal::as_raw);
    if status.stopping_signal().is_some_and(|signal| wants_terminal.contains(&signal))
        && rustix::termios::tcsetpgrp(std::io::stdin(), command).is_ok()
    {
        has_terminal.store(true, Ordering::Relaxed);
        let _ = process::kill_process_group(command, process::Signal::CONT);
    }
}

/// Takes the terminal back: a script that called estop would no longer get Ctrl-C if the terminal stayed with a group
/// that is gone.
impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.has_terminal.load(Ordering::Relaxed) {
            // From the background this call raises SIGTTOU, which would stop estop.
            let mut signals = SigSet::empty();
            signals.add(BlockedSignal::SIGTTOU);
            if signals.thread_block().is_ok() {
                let _ = rustix::termios::tcsetpgrp(std::io::stdin(), process::getpgrp());
            }
        }
    }
}

/// Every live descendant of this process.
#[cfg(target_os = "linux")]
fn descendants() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let stats = pids
        .filter_map(|pid| Some((pid, parent_if_alive(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)));
    let parents: Vec<(i32, i32)> = stats.collect();
    let mut found = vec![process::getpid().as_raw_pid()];
    let mut seen = 0;
    while let Some(parent) = found.get(seen).copied() {
        seen += 1;
        found.extend(parents.iter().filter(|(_, its_parent)| *its_parent == parent).map(|(pid, _)| *pid));
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// Other systems have no /proc: there, only the group is supervised.
#[cfg(not(target_os = "linux"))]
fn descendants() -> Vec<Pid> {
    Vec::new()
}

/// The parent from `/proc/PID/stat`, unless the process is dead. The name, in parentheses, can contain anything.
#[cfg(target_os = "linux")]
fn parent_if_alive(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| !matches!(state, "Z" | "X"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_whatever_the_process_is_called() {
        assert_eq!(parent_if_alive("7 (sh) S 3 7 7 0"), Some(3));
        assert_eq!(parent_if_alive("7 (a) Z 9) (b) R 3 7 7 0"), Some(3));
        assert_eq!(parent_if_alive("7 (sh) Z 3 7 7 0"), None);
        for odd in ["", "7", "7 (sh", "7 (sh) ", "7 (sh) S", "7 (sh) S x"] {
            assert_eq!(parent_if_alive(odd), None, "{odd}");
        }
    }
}
