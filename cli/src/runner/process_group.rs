//! COMMAND and everything that it starts: its process group, and on Linux also what left the group.
//!
//! A browser that Playwright starts has a group of its own, and outlives a Playwright that was killed. On Linux estop
//! therefore becomes the reaper of its descendants: whoever loses a parent becomes its child, so nobody gets away, and
//! nobody stays behind as a zombie that would look like a living member of the group.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::signal::{SigSet, Signal as BlockedSignal};
use rustix::io::Errno;
use rustix::process::{self, Pid, WaitOptions, WaitStatus};

use super::supervisor::{Event, Exited, Left, Signal};

/// COMMAND's process group.
#[derive(Debug)]
pub struct Family {
    /// The group's id, which is COMMAND's process id.
    group: Pid,
    /// Whether it has the terminal.
    has_terminal: Arc<AtomicBool>,
}

impl Family {
    /// Starts COMMAND in a process group of its own. Its exit comes through `events`.
    ///
    /// # Errors
    /// If the system cannot start it.
    pub fn start(
        program: &str,
        arguments: &[String],
        run: Option<i64>,
        events: Sender<Event>,
    ) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        // Where this fails, the group is still looked after.
        let _ = process::set_child_subreaper(Some(process::getpid()));
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        if let Some(id) = run {
            command.env("ESTOP_RUN_ID", id.to_string());
        }
        let group = Pid::from_child(&command.spawn()?);
        let has_terminal = Arc::new(AtomicBool::new(false));
        let shared = has_terminal.clone();
        thread::spawn(move || reap(group, &shared, &events));
        Ok(Self { group, has_terminal })
    }

    /// Signals everyone: SIGINT and SIGHUP go to the group, as a terminal sends them, so that a test runner can end its
    /// browsers in order; SIGTERM and SIGKILL also to those who left the group, if `strays` are to go too.
    pub fn signal(&self, signal: Signal, strays: bool) {
        let signal_sent = sent(signal);
        // Nobody there is what one wants; no permission cannot be helped.
        let _ = process::kill_process_group(self.group, signal_sent);
        if strays && matches!(signal, Signal::Terminate | Signal::Kill) {
            for pid in descendants().into_iter().filter(|pid| *pid != self.group) {
                let _ = process::kill_process(pid, signal_sent);
            }
        }
    }

    /// Who is still there.
    pub fn left(&self) -> Left {
        match process::test_kill_process_group(self.group) {
            Err(Errno::SRCH) if descendants().is_empty() => Left::Nobody,
            Err(Errno::SRCH) => Left::Strays,
            _ => Left::Group,
        }
    }
}

fn sent(signal: Signal) -> process::Signal {
    match signal {
        Signal::Hangup => process::Signal::HUP,
        Signal::Interrupt => process::Signal::INT,
        Signal::Quit => process::Signal::QUIT,
        Signal::Terminate => process::Signal::TERM,
        Signal::Kill => process::Signal::KILL,
    }
}

/// Waits for COMMAND, and for whoever else becomes our child, until there is none.
fn reap(command: Pid, has_terminal: &AtomicBool, events: &Sender<Event>) {
    loop {
        match process::wait(WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) if pid == command => match exited(status) {
                Some(exited) => {
                    // The receiver is gone only when estop is about to exit.
                    let _ = events.send(Event::Exited(exited));
                }
                None => hand_over_terminal(command, status, has_terminal),
            },
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn exited(status: WaitStatus) -> Option<Exited> {
    status.exit_status().map(Exited::Code).or_else(|| status.terminating_signal().map(Exited::Signal))
}

/// A group that is not the terminal's foreground one stops when it reads from the terminal. It gets the terminal then,
/// and goes on; from there on Ctrl-C reaches it directly.
fn hand_over_terminal(command: Pid, status: WaitStatus, has_terminal: &AtomicBool) {
    let wants_terminal = [process::Signal::TTIN, process::Signal::TTOU].map(process::Signal::as_raw);
    if status.stopping_signal().is_some_and(|signal| wants_terminal.contains(&signal))
        && rustix::termios::tcsetpgrp(std::io::stdin(), command).is_ok()
    {
        has_terminal.store(true, Ordering::Relaxed);
        let _ = process::kill_process_group(command, process::Signal::CONT);
    }
}

/// A script that called estop would be deaf to Ctrl-C if the terminal stayed with a group that is gone.
impl Drop for Family {
    fn drop(&mut self) {
        if self.has_terminal.load(Ordering::Relaxed) {
            // Who asks for the terminal from the background is stopped, unless it does not take that signal.
            let mut signals = SigSet::empty();
            signals.add(BlockedSignal::SIGTTOU);
            if signals.thread_block().is_ok() {
                let _ = rustix::termios::tcsetpgrp(std::io::stdin(), process::getpgrp());
            }
        }
    }
}

/// Every living process that descends from this one.
#[cfg(target_os = "linux")]
fn descendants() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let stats = pids
        .filter_map(|pid| Some((pid, parent_if_alive(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)));
    let parents: Vec<(i32, i32)> = stats.collect();
    let mut family = vec![process::getpid().as_raw_pid()];
    let mut seen = 0;
    while let Some(parent) = family.get(seen).copied() {
        seen += 1;
        family.extend(parents.iter().filter(|(_, its_parent)| *its_parent == parent).map(|(pid, _)| *pid));
    }
    family.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// Elsewhere nobody tells; the group is all there is.
#[cfg(not(target_os = "linux"))]
fn descendants() -> Vec<Pid> {
    Vec::new()
}

/// The parent in `/proc/PID/stat`, unless the process is dead. The name, in parentheses, may hold anything.
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
    fn a_parent_is_read_whatever_the_process_calls_itself() {
        assert_eq!(parent_if_alive("7 (sh) S 3 7 7 0"), Some(3));
        assert_eq!(parent_if_alive("7 (a) Z 9) (b) R 3 7 7 0"), Some(3));
        assert_eq!(parent_if_alive("7 (sh) Z 3 7 7 0"), None);
        for odd in ["", "7", "7 (sh", "7 (sh) ", "7 (sh) S", "7 (sh) S x"] {
            assert_eq!(parent_if_alive(odd), None, "{odd}");
        }
    }
}
