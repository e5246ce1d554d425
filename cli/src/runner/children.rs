//! estop's child processes: COMMAND, the guard, what `--on-stop` runs and, on Linux, the orphans that it adopts. One
//! thread waits for all of them, because waiting for any child takes the exit status from whoever waits for one.

use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::io::Errno;
use rustix::process::{self, WaitOptions, WaitStatus};

use super::supervisor::{ChildStatus, Event, ExitStatus};

/// Starts children. Their exits and stops become events.
pub struct Children(Sender<()>);

impl Children {
    pub fn new(events: Sender<Event>) -> Self {
        #[cfg(target_os = "linux")]
        // Orphans become our children, so that none escapes and none stays a zombie. If this fails, the process group is
        // still supervised.
        let _ = process::set_child_subreaper(Some(process::getpid()));
        let (started, wakes) = channel();
        thread::spawn(move || reap(&events, &wakes));
        Self(started)
    }

    /// Starts a child, and returns it for its pipes alone: its exit status is the event's.
    pub fn start(&self, command: &mut Command) -> std::io::Result<std::process::Child> {
        let child = command.spawn()?;
        // The thread waits for this only while there is no other child.
        let _ = self.0.send(());
        Ok(child)
    }
}

fn reap(events: &Sender<Event>, wakes: &Receiver<()>) {
    loop {
        match process::wait(WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) => {
                let event = child_status(status).map(|status| Event::Child(pid, status));
                if event.is_some_and(|event| events.send(event).is_err()) {
                    return;
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            // There is no child now.
            Err(_) => {
                if wakes.recv().is_err() {
                    return;
                }
            }
        }
    }
}

fn child_status(status: WaitStatus) -> Option<ChildStatus> {
    let code = status.exit_status().map(ExitStatus::Code);
    let exited = code.or_else(|| status.terminating_signal().map(ExitStatus::Signal)).map(ChildStatus::Exited);
    exited.or_else(|| status.stopping_signal().map(ChildStatus::Stopped))
}
