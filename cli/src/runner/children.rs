//! estop's child processes: COMMAND, the guard, what `--on-stop` runs and, on Linux, the orphans that it adopts. One
//! thread waits for all of them, because waiting for any child takes the exit status from whoever waits for one.

use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::io::Errno;
use rustix::process::{self, WaitId, WaitIdOptions, WaitOptions, WaitStatus};

use super::supervisor::{ChildStatus, Event, ExitStatus};

/// Starts children. Their exits and stops become events.
pub struct Children {
    started: Sender<()>,
    starting: Arc<Mutex<()>>,
}

impl Children {
    pub fn new(events: Sender<Event>) -> Self {
        #[cfg(target_os = "linux")]
        // Orphans become our children, so that none escapes and none stays a zombie. If this fails, the process group is
        // still supervised.
        let _ = process::set_child_subreaper(Some(process::getpid()));
        let (started, wakes) = channel();
        let starting = Arc::new(Mutex::new(()));
        let lock = starting.clone();
        thread::spawn(move || reap(&events, &lock, &wakes));
        Self { started, starting }
    }

    /// Starts a child, and returns it for its pipes alone: its exit status is the event's.
    pub fn start(&self, command: &mut Command) -> std::io::Result<Child> {
        // A child that cannot become the program is waited for by `spawn` itself, which panics if it is gone.
        let lock = self.starting.lock();
        let child = command.spawn()?;
        drop(lock);
        // The thread waits for this only while there is no other child.
        let _ = self.started.send(());
        Ok(child)
    }
}

fn reap(events: &Sender<Event>, starting: &Mutex<()>, wakes: &Receiver<()>) {
    loop {
        // Waits for a change and takes nothing.
        match process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT) {
            Ok(_) => {
                let _lock = starting.lock();
                while let Ok(Some((pid, status))) = process::wait(WaitOptions::UNTRACED | WaitOptions::NOHANG) {
                    let event = child_status(status).map(|status| Event::Child(pid, status));
                    if event.is_some_and(|event| events.send(event).is_err()) {
                        return;
                    }
                }
            }
            Err(Errno::INTR) => {}
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
