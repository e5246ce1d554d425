//! COMMAND and everything that it starts: its process group, and on Linux also the processes that left the group.
//!
//! The browsers that Playwright starts are in groups of their own, and outlive a Playwright that was killed. Three things
//! tell who belongs to COMMAND: to descend from it; to be an orphan that estop has adopted; and to carry its mark, an
//! environment variable of its own. The mark is for the guard, which adopts nobody: once estop is dead, orphans
//! belong to init.

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal as BlockedSignal};
use rustix::process::{self, Pid};

use super::children::Children;
use super::environment::MARK;
use super::fuse::Fuse;
use super::process_table::{self, Process};
use super::supervisor::{Remaining, Signal};

#[derive(Debug)]
pub struct ProcessGroup {
    /// The group's id, which is COMMAND's process id.
    id: Pid,
    mark: String,
    /// Our child that does not belong to COMMAND.
    guard: Option<Pid>,
    /// Whether it is the terminal's foreground group.
    has_terminal: bool,
}

impl ProcessGroup {
    /// Starts COMMAND in a process group of its own.
    pub fn start(command: &mut Command, mark: &str, fuse: Option<&Fuse>, children: &Children) -> std::io::Result<Self> {
        command.process_group(0);
        if let Some(fuse) = fuse {
            fuse.tie(command);
        }
        let id = Pid::from_child(&children.start(command)?);
        Ok(Self::of(id, mark))
    }

    /// One that someone else has started.
    pub fn of(id: Pid, mark: &str) -> Self {
        Self { id, mark: mark.to_owned(), guard: None, has_terminal: false }
    }

    pub fn id(&self) -> Pid {
        self.id
    }

    /// Says which of our children is the guard.
    pub fn set_guard(&mut self, guard: Option<Pid>) {
        self.guard = guard;
    }

    /// Sends a signal to the group, as a terminal does, so that a test runner can close its browsers in order. With
    /// `strays`, SIGTERM and SIGKILL also go to the processes that left the group.
    pub fn signal(&self, signal: Signal, strays: bool) {
        let os_signal = os_signal(signal);
        // ESRCH: already gone. EPERM: nothing can be done.
        let _ = process::kill_process_group(self.id, os_signal);
        // A stopped process takes no other signal until it continues.
        self.resume();
        if strays && matches!(signal, Signal::Terminate | Signal::Kill) {
            for pid in self.strays() {
                let _ = process::kill_process(pid, os_signal);
                let _ = process::kill_process(pid, process::Signal::CONT);
            }
        }
    }

    /// Stops the group, as Ctrl-Z does.
    pub fn suspend(&self) {
        let _ = process::kill_process_group(self.id, process::Signal::TSTP);
    }

    pub fn resume(&self) {
        let _ = process::kill_process_group(self.id, process::Signal::CONT);
    }

    /// Whether a process of COMMAND's is seen that has left the group.
    #[cfg(target_os = "linux")]
    pub fn has_stray(&self) -> bool {
        let strays = self.strays();
        let has_left = |process: &Process| process.group != self.id.as_raw_pid() && strays.contains(&process.pid);
        process_table::living().iter().any(has_left)
    }

    pub fn remaining(&self) -> Remaining {
        if self.is_alive() {
            Remaining::Group
        } else if self.strays().is_empty() {
            Remaining::None
        } else {
            Remaining::Strays
        }
    }

    #[cfg(target_os = "linux")]
    fn is_alive(&self) -> bool {
        process_table::living().iter().any(|process| process.group == self.id.as_raw_pid())
    }

    /// Until init has reaped them, zombies count here.
    #[cfg(not(target_os = "linux"))]
    fn is_alive(&self) -> bool {
        process::test_kill_process_group(self.id) != Err(rustix::io::Errno::SRCH)
    }

    fn strays(&self) -> Vec<Pid> {
        let living = process_table::living();
        let mark = format!("{MARK}={}", self.mark);
        let me = process::getpid().as_raw_pid();
        let adopted = |process: &Process| process.parent == me && Some(process.pid) != self.guard;
        let is_root = |process: &Process| {
            process.pid == self.id || adopted(process) || process_table::has_in_environment(process.pid, &mark)
        };
        let roots = living.iter().filter(|process| is_root(process)).map(|process| process.pid).collect();
        let mut found = with_descendants(roots, &living);
        found.retain(|pid| *pid != self.id);
        found
    }

    /// COMMAND has been stopped by this signal. If it wanted the terminal, it gets it, and goes on. Returns whether it did.
    pub fn hand_over_terminal(&mut self, stopped_by: i32) -> bool {
        // The kernel stops a background group that reads from the terminal. It then becomes the foreground group and
        // continues; from then on Ctrl-C reaches it directly.
        let wants_terminal = [process::Signal::TTIN, process::Signal::TTOU].map(process::Signal::as_raw);
        if !wants_terminal.contains(&stopped_by) || rustix::termios::tcsetpgrp(std::io::stdin(), self.id).is_err() {
            return false;
        }
        self.has_terminal = true;
        self.resume();
        true
    }
}

/// These processes and all that descend from them.
fn with_descendants(roots: Vec<Pid>, living: &[Process]) -> Vec<Pid> {
    let mut seen: HashSet<Pid> = roots.iter().copied().collect();
    let mut found = roots;
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|pid| pid.as_raw_pid()) {
        next += 1;
        found.extend(
            living.iter().filter(|process| process.parent == parent && seen.insert(process.pid)).map(|p| p.pid),
        );
    }
    found
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

/// Takes the terminal back: a script that called estop would no longer get Ctrl-C if the terminal stayed with a group
/// that is gone.
impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.has_terminal {
            // From the background this call raises SIGTTOU, which would stop estop.
            let mut signals = SigSet::empty();
            signals.add(BlockedSignal::SIGTTOU);
            if signals.thread_block().is_ok() {
                let _ = rustix::termios::tcsetpgrp(std::io::stdin(), process::getpgrp());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_once_each_whatever_their_group() {
        let pid = |raw| Pid::from_raw(raw).expect("a process id");
        let process = |own, parent| Process { pid: pid(own), parent, group: own };
        let living = [process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 4), process(7, 0)];
        let found = |roots: &[i32]| {
            let found = with_descendants(roots.iter().map(|raw| pid(*raw)).collect(), &living);
            let mut found: Vec<i32> = found.into_iter().map(Pid::as_raw_pid).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(&[2]), [2, 3, 4, 6]);
        assert_eq!(found(&[2, 4]), [2, 3, 4, 6]);
        assert_eq!(found(&[5]), [5]);
        assert_eq!(found(&[]), [0; 0]);
    }
}
