//! What to do next: every decision of `estop run` from COMMAND's start to its end, in one pure function.
//!
//! Threads send [`Event`]s; [`next`] turns each into [`Action`]s; the loop in [`super`] carries them out. Moments are
//! spans since the start, so that no test waits.
//!
//! ```text
//!            stop order, lost lease                 grace            kill-after
//!  running ────────────────────────► SIGINT sent ─────────► SIGTERM ───────────► SIGKILL
//!     │ COMMAND exits                     └── nobody left ──────┴── nobody left ────┘ nobody left
//!     ▼                                             ▼ graceful                        ▼ killed
//!  concluded                                    concluded                         concluded
//! ```

use std::time::Duration;

use estop_protocol::heartbeat::StopOrder;
use estop_protocol::run::ConfirmedStop;

use crate::exit::Exit;

/// After SIGKILL the kernel may still need a moment; what is not gone by then hangs in the kernel, and no one can help it.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Lost heartbeats before a warning: a connection that idled too long breaks once, and the next try makes a new one.
const QUIET_FAILURES: u32 = 1;

/// How long each step of a stop lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From SIGINT to SIGTERM; if it is not given, the stop order says.
    pub grace: Option<Duration>,
    /// The grace where no order says.
    pub default_grace: Duration,
    /// From SIGTERM to SIGKILL.
    pub kill_after: Duration,
}

/// The signals that estop catches and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Signal {
    Hangup,
    Interrupt,
    Quit,
    Terminate,
    Kill,
}

/// How COMMAND exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exited {
    /// By itself, with this code.
    Code(i32),
    /// By the signal with this number.
    Signal(i32),
}

/// Who of COMMAND's processes is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Some of its process group.
    Group,
    /// None of the group, but descendants that moved to a group of their own.
    Strays,
    /// None.
    Nobody,
}

/// What a heartbeat came to.
#[derive(Debug)]
pub enum Beat {
    /// Go on.
    Alive,
    /// The run is cancelled.
    Stop(StopOrder),
    /// The lease is not ours any more; the service's words.
    Lost(String),
    /// No answer, or none that says anything about the run.
    Trouble(String),
}

/// What can happen.
#[derive(Debug)]
pub enum Event {
    /// A heartbeat came back.
    Beat(Beat),
    /// Someone signalled estop.
    Signal(Signal),
    /// COMMAND exited. Others of its group may live on.
    Exited(Exited),
    /// Time has passed.
    Tick(Left),
}

/// Why COMMAND is being stopped.
#[derive(Debug)]
pub enum Why {
    /// The run is cancelled: by someone, by a newer run, or by the sweeper that gave it up.
    Order(StopOrder),
    /// The lease is not ours any more; the service's words.
    Lost(String),
}

/// What to tell people.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// The service does not answer; the tests go on.
    ServiceDown(String),
    /// It answers again.
    ServiceBack,
    /// Why COMMAND is being stopped: [`State::why`] says.
    Stopping,
    /// The grace is over.
    Terminating,
    /// The end.
    Killing,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell people.
    Say(Notice),
    /// Signal all of COMMAND's processes.
    Send(Signal),
    /// It is over: finish the run and exit.
    Conclude,
}

/// Where things stand.
#[derive(Debug)]
pub struct State {
    patience: Patience,
    /// Whether the group has had a SIGINT: a second one means "at once" to many a test runner, and to us.
    interrupted: bool,
    /// What estop has sent: COMMAND's death of one of these is no surprise.
    sent: Vec<Signal>,
    failures: u32,
    warned: bool,
    exited: Option<Exited>,
    stop: Option<Stop>,
}

#[derive(Debug)]
struct Stop {
    why: Why,
    step: Signal,
    until: Duration,
}

impl State {
    /// COMMAND has just started.
    pub fn new(patience: Patience) -> Self {
        Self { patience, interrupted: false, sent: Vec::new(), failures: 0, warned: false, exited: None, stop: None }
    }

    /// How COMMAND exited, once it has.
    pub fn exited(&self) -> Option<Exited> {
        self.exited
    }

    /// Why COMMAND is being stopped, if it is.
    pub fn why(&self) -> Option<&Why> {
        self.stop.as_ref().map(|stop| &stop.why)
    }

    /// How the stop went, if there was one.
    pub fn stopped(&self) -> Option<ConfirmedStop> {
        let stop = self.stop.as_ref()?;
        Some(if stop.step == Signal::Kill { ConfirmedStop::Killed } else { ConfirmedStop::Graceful })
    }

    /// Whether COMMAND died of a signal that estop sent or passed on.
    pub fn died_of_ours(&self) -> bool {
        matches!(self.exited, Some(Exited::Signal(number)) if self.sent.iter().any(|s| s.number() == number))
    }

    /// Whether someone else than the service put an end to COMMAND: it failed after a signal that estop passed on, or it
    /// ended as one does of Ctrl-C or SIGTERM, which may have reached it without estop.
    pub fn was_interrupted(&self) -> bool {
        // A Java virtual machine tells of its threads at SIGQUIT, and goes on.
        let told_to_go = self.sent.iter().any(|signal| *signal != Signal::Quit);
        self.stop.is_none()
            && match self.exited {
                Some(Exited::Signal(number)) => {
                    !self.sent.is_empty() || Signal::ALL.iter().any(|s| s.number() == number && *s != Signal::Kill)
                }
                // As shells and test runners say it: 128 and the number of SIGINT or SIGTERM.
                Some(Exited::Code(code)) => code != 0 && (told_to_go || code == 130 || code == 143),
                None => false,
            }
    }

    /// Whether it matters that time passes.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    fn send(&mut self, signal: Signal, actions: &mut Vec<Action>) {
        self.interrupted |= signal == Signal::Interrupt;
        self.sent.push(signal);
        actions.push(Action::Send(signal));
    }

    fn begin_stop(&mut self, why: Why, now: Duration, actions: &mut Vec<Action>) {
        if self.stop.is_some() || self.exited.is_some() {
            return;
        }
        let ordered = match &why {
            Why::Order(order) => u64::try_from(order.grace_seconds).ok().map(Duration::from_secs),
            Why::Lost(_) => None,
        };
        let grace = self.patience.grace.or(ordered).unwrap_or(self.patience.default_grace);
        self.stop = Some(Stop { why, step: Signal::Interrupt, until: now.saturating_add(grace) });
        actions.push(Action::Say(Notice::Stopping));
        if !self.interrupted {
            self.send(Signal::Interrupt, actions);
        }
    }

    fn step(&mut self, step: Signal, now: Duration, actions: &mut Vec<Action>) {
        let Some(stop) = self.stop.as_mut() else { return };
        let (notice, lasts) = match step {
            Signal::Kill => (Notice::Killing, LAST_WAIT),
            _ => (Notice::Terminating, self.patience.kill_after),
        };
        stop.step = step;
        stop.until = now.saturating_add(lasts);
        actions.push(Action::Say(notice));
        self.send(step, actions);
    }

    fn beat(&mut self, beat: Beat, now: Duration, actions: &mut Vec<Action>) {
        if let Beat::Trouble(what) = beat {
            self.failures = self.failures.saturating_add(1);
            if self.failures > QUIET_FAILURES && !self.warned {
                self.warned = true;
                actions.push(Action::Say(Notice::ServiceDown(what)));
            }
            return;
        }
        self.failures = 0;
        if std::mem::take(&mut self.warned) {
            actions.push(Action::Say(Notice::ServiceBack));
        }
        match beat {
            Beat::Stop(order) => self.begin_stop(Why::Order(order), now, actions),
            Beat::Lost(words) => self.begin_stop(Why::Lost(words), now, actions),
            Beat::Alive | Beat::Trouble(_) => {}
        }
    }

    fn signal(&mut self, signal: Signal, now: Duration, actions: &mut Vec<Action>) {
        match (signal, self.interrupted, self.stop.is_some()) {
            (Signal::Interrupt, true, true) => self.step(Signal::Kill, now, actions),
            (Signal::Interrupt, true, false) => {
                actions.push(Action::Say(Notice::Killing));
                self.send(Signal::Kill, actions);
            }
            _ => self.send(signal, actions),
        }
    }

    fn exit(&mut self, exited: Exited, actions: &mut Vec<Action>) {
        self.exited = Some(exited);
        // A stop waits for the whole group; else what COMMAND left behind is told to go, and COMMAND's word stands.
        if self.stop.is_none() {
            actions.push(Action::Send(Signal::Terminate));
            actions.push(Action::Conclude);
        }
    }

    fn tick(&mut self, left: Left, now: Duration, actions: &mut Vec<Action>) {
        let Some(Stop { step, until, .. }) = self.stop else { return };
        let due = now >= until;
        match (left, self.exited.is_some(), step) {
            (Left::Nobody, true, _) => actions.push(Action::Conclude),
            (_, true, Signal::Kill) if due => actions.push(Action::Conclude),
            // Nobody is left who could end the strays in an orderly way.
            (Left::Strays, true, Signal::Interrupt) => self.step(Signal::Terminate, now, actions),
            (_, _, Signal::Interrupt) if due => self.step(Signal::Terminate, now, actions),
            (_, _, Signal::Terminate) if due => self.step(Signal::Kill, now, actions),
            // One may have been born between the look and the kill.
            (Left::Group | Left::Strays, _, Signal::Kill) => actions.push(Action::Send(Signal::Kill)),
            _ => {}
        }
    }
}

impl Why {
    /// How estop exits.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Order(order) if !order.lease_lost => Exit::Cancelled,
            _ => Exit::Fenced,
        }
    }
}

/// What follows from `event` at `now`.
pub fn next(mut state: State, event: Event, now: Duration) -> (State, Vec<Action>) {
    let mut actions = Vec::new();
    match event {
        Event::Beat(beat) => state.beat(beat, now, &mut actions),
        Event::Signal(signal) => state.signal(signal, now, &mut actions),
        Event::Exited(exited) => state.exit(exited, &mut actions),
        Event::Tick(left) => state.tick(left, now, &mut actions),
    }
    (state, actions)
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 5] = [Self::Hangup, Self::Interrupt, Self::Quit, Self::Terminate, Self::Kill];

    /// Its number; these five have the same everywhere.
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
