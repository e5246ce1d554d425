//! estop's side of the guard: starts it, and another one whenever it dies.

use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rustix::process::{self, Pid};

use super::{Message, Watch};
use crate::clock;
use crate::runner::children::Children;
use crate::runner::delivery::Delivery;
use crate::runner::fuse::Fuse;
use crate::runner::supervisor::{ChildStatus, Event};
use crate::terminal;

/// How many guards may die within [`WITHIN`]. Whoever kills more of them means it, or the machine is out of memory.
const RESTARTS: usize = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// How long to wait for a guard that is dismissed, so that nobody sees it after estop is gone.
const DISMISSAL: Duration = Duration::from_secs(1);

pub struct Keeper<'a> {
    children: &'a Children,
    /// As it is found when estop starts: it may be replaced while the tests run.
    program: PathBuf,
    address: String,
    watch: Watch,
    fuse: Option<Fuse>,
    /// COMMAND's process.
    command: Option<Pid>,
    /// How the run is recorded, once COMMAND has ended.
    delivery: Option<Delivery>,
    guard: Option<Guard>,
    /// When guards died, in the last [`WITHIN`].
    deaths: Vec<Duration>,
}

struct Guard {
    pid: Pid,
    pipe: ChildStdin,
}

impl<'a> Keeper<'a> {
    /// Starts the guard, or warns that there is none.
    pub fn start(children: &'a Children, address: &str, watch: Watch) -> Self {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("estop"));
        let (address, fuse) = (address.to_owned(), Fuse::new().ok());
        let (command, delivery, guard, deaths) = (None, None, None, Vec::new());
        let mut keeper = Self { children, program, address, watch, fuse, command, delivery, guard, deaths };
        keeper.start_guard();
        keeper
    }

    pub fn fuse(&self) -> Option<&Fuse> {
        self.fuse.as_ref()
    }

    /// What COMMAND's processes carry.
    pub fn mark(&self) -> &str {
        &self.watch.mark
    }

    pub fn guard(&self) -> Option<Pid> {
        self.guard.as_ref().map(|guard| guard.pid)
    }

    /// Tells the guard, and those that follow it, what to end.
    pub fn command_started(&mut self, command: Pid) {
        self.command = Some(command);
        self.tell(&Message::Started(command.as_raw_pid()));
    }

    /// Tells the guard, and those that follow it, that COMMAND has ended, and how it is recorded.
    pub fn finishing(&mut self, delivery: &Delivery) {
        self.command = None;
        self.delivery = Some(delivery.clone());
        self.tell(&Message::Finishing(delivery.clone()));
    }

    /// Starts another guard if this event is the death of the one there was. Returns whether it is. One that was stopped
    /// goes on: until it has a session of its own, Ctrl-Z at a terminal reaches it, too.
    pub fn replaces_guard(&mut self, event: &Event) -> bool {
        let Event::Child(pid, status) = event else { return false };
        if self.guard() != Some(*pid) {
            return false;
        }
        if let ChildStatus::Stopped(_) = status {
            let _ = process::kill_process(*pid, process::Signal::CONT);
            return false;
        }
        self.guard = None;
        let now = clock::now();
        self.deaths.retain(|at| now.saturating_sub(*at) < WITHIN);
        self.deaths.push(now);
        if self.deaths.len() > RESTARTS {
            let seconds = WITHIN.as_secs();
            terminal::warn(format!(
                "the guard died more than {RESTARTS} times in {seconds} s and is not started again. If estop is killed now, \
                 the tests may go on; find out who kills it"
            ));
        } else {
            self.start_guard();
        }
        true
    }

    /// estop is about to end by itself.
    pub fn dismiss(mut self, inbox: &Receiver<Event>) {
        self.tell(&Message::Dismissed);
        let Some(Guard { pid, pipe }) = self.guard.take() else { return };
        drop(pipe);
        let deadline = clock::now().saturating_add(DISMISSAL);
        while let Ok(event) = inbox.recv_timeout(deadline.saturating_sub(clock::now())) {
            if matches!(event, Event::Child(child, ChildStatus::Exited(_)) if child == pid) {
                return;
            }
        }
    }

    fn start_guard(&mut self) {
        match self.spawn() {
            Ok(guard) => {
                self.guard = Some(guard);
                let watch = self.watch.clone();
                self.tell(&Message::Watch(watch));
                if let Some(command) = self.command {
                    self.tell(&Message::Started(command.as_raw_pid()));
                }
                if let Some(delivery) = self.delivery.clone() {
                    self.tell(&Message::Finishing(delivery));
                }
            }
            Err(error) => terminal::warn(format!(
                "the guard could not be started: {error}. If estop is killed, the tests may go on"
            )),
        }
    }

    fn spawn(&self) -> std::io::Result<Guard> {
        let mut command = Command::new(&self.program);
        command.arg("guard").env("ESTOP_URL", &self.address).env_remove("ESTOP_ADMIN_TOKEN");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(fuse) = &self.fuse {
            fuse.hold_in(&mut command)?;
        }
        let mut child = self.children.start(&mut command)?;
        let pipe = child.stdin.take().ok_or_else(|| std::io::Error::other("it has no pipe"))?;
        Ok(Guard { pid: Pid::from_child(&child), pipe })
    }

    fn tell(&mut self, message: &Message) {
        if let (Some(guard), Ok(line)) = (&mut self.guard, serde_json::to_string(message)) {
            // A guard that is dead is replaced when its exit arrives.
            let _ = guard.pipe.write_all(format!("{line}\n").as_bytes());
        }
    }
}
