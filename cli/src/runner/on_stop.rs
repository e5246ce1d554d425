//! `--on-stop`: cleans up after a run that was cancelled, before the stop is confirmed and the next run may start.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use estop_protocol::heartbeat::StopOrder;
use rustix::process::{self, Pid};

use super::children::Children;
use super::environment::Environment;
use super::supervisor::{ChildStatus, Event, ExitStatus};
use crate::clock;
use crate::terminal;

pub struct OnStop<'a> {
    /// Run by `sh -c`.
    pub command: &'a str,
    pub within: Duration,
    /// COMMAND's. By the mark in it, the guard ends this too if estop is killed meanwhile.
    pub environment: Environment,
}

/// Why it was not waited for.
enum Cut {
    TimedOut,
    Interrupted,
}

impl OnStop<'_> {
    /// Runs it to its end, for at most `within`. A failure is told, and changes nothing. `is_taken` looks at every event
    /// first, and says which of them are others' business.
    pub fn run(
        &self,
        order: &StopOrder,
        children: &Children,
        inbox: &Receiver<Event>,
        mut is_taken: impl FnMut(&Event) -> bool,
    ) {
        terminal::info(format!("running --on-stop: {}", terminal::sanitize(self.command)));
        let started = match children.start(&mut self.command(order)) {
            Ok(child) => Pid::from_child(&child),
            Err(error) => {
                terminal::warn(format!("--on-stop could not be started: {error}. Clean up by hand"));
                return;
            }
        };
        let ended = wait(started, self.within, inbox, &mut is_taken);
        if ended.is_err() {
            // ESRCH: already gone.
            let _ = process::kill_process_group(started, process::Signal::KILL);
        }
        match ended {
            Ok(ExitStatus::Code(0)) => {}
            Ok(ExitStatus::Code(code)) => {
                terminal::warn(format!("--on-stop failed with exit code {code}. Clean up by hand"))
            }
            Ok(ExitStatus::Signal(number)) => {
                terminal::warn(format!("--on-stop died of signal {number}. Clean up by hand"))
            }
            Err(Cut::TimedOut) => terminal::warn(format!(
                "--on-stop was killed after {} s. Clean up by hand, and give it longer with --on-stop-timeout",
                self.within.as_secs()
            )),
            Err(Cut::Interrupted) => terminal::warn("--on-stop was interrupted and killed. Clean up by hand"),
        }
    }

    fn command(&self, order: &StopOrder) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", self.command]).stdin(Stdio::null()).process_group(0);
        self.environment.apply_to(&mut command);
        command.env("ESTOP_CANCEL_BY", printable(&order.by));
        command.env("ESTOP_CANCEL_REASON", printable(order.reason.as_deref().unwrap_or_default()));
        command
    }
}

/// Waits for its exit. A signal for estop ends the wait early: whoever sent one does not want to wait.
fn wait(
    started: Pid,
    within: Duration,
    inbox: &Receiver<Event>,
    is_taken: &mut impl FnMut(&Event) -> bool,
) -> Result<ExitStatus, Cut> {
    let deadline = clock::now().saturating_add(within);
    loop {
        let event = inbox.recv_timeout(deadline.saturating_sub(clock::now())).map_err(|_| Cut::TimedOut)?;
        match event {
            event if is_taken(&event) => {}
            Event::Child(pid, ChildStatus::Exited(status)) if pid == started => return Ok(status),
            Event::Signal(_) => return Err(Cut::Interrupted),
            _ if clock::now() >= deadline => return Err(Cut::TimedOut),
            _ => {}
        }
    }
}

/// A variable cannot hold a NUL.
fn printable(text: &str) -> String {
    text.replace('\0', "")
}
