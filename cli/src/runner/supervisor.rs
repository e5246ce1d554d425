//! What to do next: every decision of `estop run` between COMMAND's start and its end, in one pure function.
//!
//! Threads send [`Event`]s, [`next`] turns each into [`Action`]s, and the loop in [`super`] carries them out. Times are
//! [`crate::clock`]'s, and arguments, so that no test has to wait.
//!
//! ```text
//!          stop order, lease lost            grace              kill-after
//!  running ─────────────────────► SIGINT ──────────► SIGTERM ──────────────► SIGKILL
//!     │    lease ran out            │                   │                       │
//!     │    (--exclusive)            │ no process left   │ no process left       │ no process left
//!     │    estop killed             │                   │                       │
//!     │    (the guard's)            │                   │                       │
//!     │ COMMAND exits               ▼                   ▼                       ▼
//!  finished                      graceful           terminated               killed
//! ```
//!
//! An order to kill, first or later, goes to SIGKILL at once.

use std::time::Duration;

use estop_protocol::heartbeat::{StopOrder, StopStep};
use estop_protocol::run::ConfirmedStop;
use estop_protocol::time::Timestamp;
use rustix::process::Pid;

use super::lease::Lease;
use crate::exit::Exit;

/// How long to wait after SIGKILL. A process that is not gone by then hangs in the kernel, and nothing can be done.
const WAIT_AFTER_KILL: Duration = Duration::from_secs(5);

/// Failed heartbeats in a row before a warning. A connection that was idle for too long breaks once, and the next
/// heartbeat opens a new one.
const TOLERATED_FAILURES: u32 = 1;

/// How often to check which processes are left while COMMAND is being stopped.
const STOP_TICK: Duration = Duration::from_millis(50);

/// The longest that the end of a lease goes unnoticed after the machine was suspended: timeouts do not count that time.
const LEASE_TICK: Duration = Duration::from_secs(1);

/// How long each step of a stop lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopTimeouts {
    /// From SIGINT to SIGTERM. If this is `None`, the stop order decides.
    pub grace: Option<Duration>,
    /// The grace if nothing else decides.
    pub default_grace: Duration,
    /// From SIGTERM to SIGKILL.
    pub kill_after: Duration,
}

/// The signals that estop receives and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Hangup,
    Interrupt,
    Quit,
    Terminate,
    Kill,
}

/// How COMMAND exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By the signal with this number.
    Signal(i32),
}

/// Which of COMMAND's processes still exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// Some in its process group.
    Group,
    /// None in the group, but descendants that moved to a group of their own.
    Strays,
    None,
}

#[derive(Debug)]
pub enum HeartbeatOutcome {
    /// The run goes on.
    Continue {
        /// The lease's end, by the service's clock.
        expires_at: Timestamp,
        /// When the heartbeat was sent.
        sent: Duration,
    },
    /// The run is cancelled: COMMAND is to be stopped or, if the order says so, killed at once.
    Stop(StopOrder),
    /// The lease is no longer ours; with the service's message.
    LeaseLost(String),
    /// No response, or one that says nothing about the run.
    Failed(String),
}

/// What became of a child process of estop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildStatus {
    Exited(ExitStatus),
    /// By the signal with this number.
    Stopped(i32),
}

#[derive(Debug)]
pub enum Event {
    Heartbeat(HeartbeatOutcome),
    /// The service's order to stop, told without being asked.
    Order(StopOrder),
    /// The service told something before COMMAND started: it is worth asking again.
    News,
    /// Someone sent estop a signal.
    Signal(Signal),
    /// Someone sent estop a SIGTSTP, as Ctrl-Z does.
    Suspend,
    /// Someone sent estop a SIGCONT.
    Resume,
    /// COMMAND has been stopped, by whomever.
    Suspended,
    /// For the guard: estop was killed.
    EstopDied,
    /// A child process changed. The loop makes COMMAND's an [`Event::Exited`] or [`Event::Suspended`].
    Child(Pid, ChildStatus),
    /// COMMAND exited. Other processes of its group may live on.
    Exited(ExitStatus),
    /// Time has passed.
    Tick(Remaining),
}

/// Why COMMAND is being stopped.
#[derive(Debug)]
pub enum StopReason {
    /// The run was cancelled: by a person, by a newer run, or by the sweeper.
    Ordered(StopOrder),
    /// The lease is no longer ours; with the service's message.
    LeaseLost(String),
    /// The lease ran out before a heartbeat could renew it, and the run must be alone in its concurrency group.
    LeaseRanOut,
    /// estop was killed, and this is its guard.
    EstopDied,
}

/// What to tell people.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// Heartbeats fail, and the tests go on.
    ServiceDown(String),
    ServiceBack,
    /// COMMAND is being stopped, for the reason in [`State::stop_reason`].
    Stopping,
    /// The grace is over.
    Terminating,
    Killing,
    /// COMMAND has been stopped and can be continued.
    Suspended,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Report(Notice),
    /// Send a signal to all of COMMAND's processes. Those that are suspended continue.
    Send(Signal),
    /// Suspend COMMAND. estop itself goes on, for its heartbeats keep the run alive.
    Suspend,
    Resume,
    /// It is over: finish the run and exit.
    Finish,
}

#[derive(Debug)]
pub struct State {
    timeouts: StopTimeouts,
    /// The lease at whose end COMMAND must have been told to stop, if it must be alone in its concurrency group.
    lease: Option<Lease>,
    /// Whether the group got a SIGINT. To many test runners a second one means "at once", and so it does to estop.
    interrupted: bool,
    /// What estop sent or forwarded: if COMMAND dies of one of these, it did not crash.
    sent: Vec<Signal>,
    /// Failed heartbeats in a row.
    failures: u32,
    warned: bool,
    exited: Option<ExitStatus>,
    stop: Option<Stop>,
}

#[derive(Debug)]
struct Stop {
    reason: StopReason,
    /// How far it got: SIGINT, SIGTERM or SIGKILL.
    step: Signal,
    /// When the next step is due.
    deadline: Duration,
}

impl State {
    /// COMMAND has just started, with `--exclusive` under a lease.
    pub fn new(timeouts: StopTimeouts, lease: Option<Lease>) -> Self {
        let (sent, exited, stop) = (Vec::new(), None, None);
        Self { timeouts, lease, interrupted: false, sent, failures: 0, warned: false, exited, stop }
    }

    pub fn exited(&self) -> Option<ExitStatus> {
        self.exited
    }

    pub fn stop_reason(&self) -> Option<&StopReason> {
        self.stop.as_ref().map(|stop| &stop.reason)
    }

    /// How the stop went, if there was one: by the strongest signal that COMMAND needed, also one that estop forwarded.
    pub fn confirmed_stop(&self) -> Option<ConfirmedStop> {
        self.stop.as_ref()?;
        Some(if self.sent.contains(&Signal::Kill) {
            ConfirmedStop::Killed
        } else if self.sent.contains(&Signal::Terminate) {
            ConfirmedStop::Terminated
        } else {
            ConfirmedStop::Graceful
        })
    }

    /// Whether COMMAND died of a signal that estop sent or forwarded.
    pub fn died_of_our_signal(&self) -> bool {
        matches!(self.exited, Some(ExitStatus::Signal(number)) if self.sent.iter().any(|s| s.number() == number))
    }

    /// Whether COMMAND was ended by someone other than the service: it failed after a signal that estop forwarded, or
    /// it ended the way programs do on Ctrl-C or SIGTERM, which may have reached it directly.
    pub fn was_interrupted(&self) -> bool {
        // On SIGQUIT a Java virtual machine prints its threads and goes on.
        let asked_to_end = self.sent.iter().any(|signal| *signal != Signal::Quit);
        self.stop.is_none()
            && match self.exited {
                Some(ExitStatus::Signal(number)) => {
                    !self.sent.is_empty() || Signal::ALL.iter().any(|s| s.number() == number && *s != Signal::Kill)
                }
                // The way shells and test runners report it: 128 plus the number of SIGINT or SIGTERM.
                Some(ExitStatus::Code(code)) => code != 0 && (asked_to_end || code == 130 || code == 143),
                None => false,
            }
    }

    /// What an action is to those who watch a run that was cancelled.
    pub fn step(&self, action: &Action) -> Option<StopStep> {
        if !matches!(self.stop_reason(), Some(StopReason::Ordered(_))) {
            return None;
        }
        match action {
            Action::Report(Notice::Stopping) => Some(StopStep::Told),
            Action::Send(Signal::Interrupt) => Some(StopStep::Sigint),
            Action::Send(Signal::Terminate) => Some(StopStep::Sigterm),
            Action::Send(Signal::Kill) => Some(StopStep::Sigkill),
            _ => None,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// How long its lease lasts, if COMMAND is stopped at its end.
    pub fn lease_left(&self, now: Duration) -> Option<Duration> {
        self.lease.map(|lease| lease.until().saturating_sub(now))
    }

    /// How long to wait for an event before a tick; `None`: however long it takes.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        match (&self.stop, self.lease_left(now)) {
            (Some(_), _) => Some(STOP_TICK),
            (None, left) => left.map(|left| left.min(LEASE_TICK)),
        }
    }

    fn send(&mut self, signal: Signal, actions: &mut Vec<Action>) {
        self.interrupted |= signal == Signal::Interrupt;
        self.sent.push(signal);
        actions.push(Action::Send(signal));
    }

    fn begin_stop(&mut self, reason: StopReason, now: Duration, actions: &mut Vec<Action>) {
        if self.stop.is_some() || self.exited.is_some() {
            return;
        }
        let ordered = match &reason {
            StopReason::Ordered(order) => u64::try_from(order.grace_seconds).ok().map(Duration::from_secs),
            StopReason::LeaseLost(_) | StopReason::LeaseRanOut | StopReason::EstopDied => None,
        };
        let grace = self.timeouts.grace.or(ordered).unwrap_or(self.timeouts.default_grace);
        let at_once = matches!(&reason, StopReason::Ordered(order) if order.kill);
        self.stop = Some(Stop { reason, step: Signal::Interrupt, deadline: now.saturating_add(grace) });
        actions.push(Action::Report(Notice::Stopping));
        if !self.interrupted && !at_once {
            self.send(Signal::Interrupt, actions);
        }
    }

    /// The first order begins the stop. Of those after it, only one to kill changes anything.
    fn on_order(&mut self, order: StopOrder, now: Duration, actions: &mut Vec<Action>) {
        let kill = order.kill;
        self.begin_stop(StopReason::Ordered(order), now, actions);
        if kill && self.stop.as_ref().is_some_and(|stop| stop.step != Signal::Kill) {
            self.escalate(Signal::Kill, now, actions);
        }
    }

    fn escalate(&mut self, step: Signal, now: Duration, actions: &mut Vec<Action>) {
        let Some(stop) = self.stop.as_mut() else { return };
        let (notice, timeout) = match step {
            Signal::Kill => (Notice::Killing, WAIT_AFTER_KILL),
            _ => (Notice::Terminating, self.timeouts.kill_after),
        };
        stop.step = step;
        stop.deadline = now.saturating_add(timeout);
        actions.push(Action::Report(notice));
        self.send(step, actions);
    }

    fn on_heartbeat(&mut self, outcome: HeartbeatOutcome, now: Duration, actions: &mut Vec<Action>) {
        if let HeartbeatOutcome::Failed(message) = outcome {
            self.failures = self.failures.saturating_add(1);
            // Once COMMAND is being stopped, it needs no more orders.
            if self.failures > TOLERATED_FAILURES && !self.warned && self.stop.is_none() {
                self.warned = true;
                actions.push(Action::Report(Notice::ServiceDown(message)));
            }
            return;
        }
        self.failures = 0;
        if std::mem::take(&mut self.warned) {
            actions.push(Action::Report(Notice::ServiceBack));
        }
        match outcome {
            HeartbeatOutcome::Stop(order) => self.on_order(order, now, actions),
            HeartbeatOutcome::LeaseLost(message) => self.begin_stop(StopReason::LeaseLost(message), now, actions),
            HeartbeatOutcome::Continue { expires_at, sent } => {
                self.lease = self.lease.map(|lease| lease.after_heartbeat(expires_at, sent));
            }
            HeartbeatOutcome::Failed(_) => {}
        }
    }

    /// From the end of its lease on, the service may let another run of the concurrency group start.
    fn check_lease(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.lease.is_some_and(|lease| lease.until() <= now) {
            self.begin_stop(StopReason::LeaseRanOut, now, actions);
        }
    }

    fn on_signal(&mut self, signal: Signal, now: Duration, actions: &mut Vec<Action>) {
        match (signal, self.interrupted, self.stop.is_some()) {
            (Signal::Interrupt, true, true) => self.escalate(Signal::Kill, now, actions),
            (Signal::Interrupt, true, false) => {
                actions.push(Action::Report(Notice::Killing));
                self.send(Signal::Kill, actions);
            }
            _ => self.send(signal, actions),
        }
    }

    /// SIGTSTP and SIGCONT end nothing, so they are not among what was [`State::sent`].
    fn suspend_or_resume(&self, action: Action, actions: &mut Vec<Action>) {
        if self.exited.is_none() && self.stop.is_none() {
            actions.push(action);
        }
    }

    fn on_exit(&mut self, status: ExitStatus, actions: &mut Vec<Action>) {
        self.exited = Some(status);
        // A stop waits for the whole group. Otherwise COMMAND's exit status stands, and what it left behind is
        // terminated.
        if self.stop.is_none() {
            actions.push(Action::Send(Signal::Terminate));
            actions.push(Action::Finish);
        }
    }

    fn on_tick(&mut self, remaining: Remaining, now: Duration, actions: &mut Vec<Action>) {
        let Some(Stop { step, deadline, .. }) = self.stop else { return };
        let due = now >= deadline;
        match (remaining, self.exited.is_some(), step) {
            (Remaining::None, true, _) => actions.push(Action::Finish),
            (_, true, Signal::Kill) if due => actions.push(Action::Finish),
            // The process that could have ended the strays in an orderly way is gone.
            (Remaining::Strays, true, Signal::Interrupt) => self.escalate(Signal::Terminate, now, actions),
            (_, _, Signal::Interrupt) if due => self.escalate(Signal::Terminate, now, actions),
            (_, _, Signal::Terminate) if due => self.escalate(Signal::Kill, now, actions),
            // One may have been forked between the look at the process table and the kill.
            (Remaining::Group | Remaining::Strays, _, Signal::Kill) => actions.push(Action::Send(Signal::Kill)),
            _ => {}
        }
    }
}

/// What follows from `event` at `now`.
pub fn next(mut state: State, event: Event, now: Duration) -> (State, Vec<Action>) {
    let mut actions = Vec::new();
    match event {
        Event::Heartbeat(outcome) => state.on_heartbeat(outcome, now, &mut actions),
        Event::Order(order) => state.on_order(order, now, &mut actions),
        Event::Signal(signal) => state.on_signal(signal, now, &mut actions),
        Event::Suspend => state.suspend_or_resume(Action::Suspend, &mut actions),
        Event::Resume => state.suspend_or_resume(Action::Resume, &mut actions),
        Event::Suspended => state.suspend_or_resume(Action::Report(Notice::Suspended), &mut actions),
        Event::EstopDied => state.begin_stop(StopReason::EstopDied, now, &mut actions),
        Event::News | Event::Child(..) => {}
        Event::Exited(status) => state.on_exit(status, &mut actions),
        Event::Tick(remaining) => state.on_tick(remaining, now, &mut actions),
    }
    // With every event: during an outage, heartbeats may fail too often for a tick to come between.
    state.check_lease(now, &mut actions);
    (state, actions)
}

impl StopReason {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Ordered(order) if !order.lease_lost => Exit::Cancelled,
            _ => Exit::Fenced,
        }
    }
}

impl Signal {
    pub const ALL: [Self; 5] = [Self::Hangup, Self::Interrupt, Self::Quit, Self::Terminate, Self::Kill];

    /// These five have the same number on every system.
    pub fn number(self) -> i32 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Kill => 9,
            Self::Terminate => 15,
        }
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
