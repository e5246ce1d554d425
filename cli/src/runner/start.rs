//! Before COMMAND starts: registers the run, and claims it once it is its turn.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use estop_protocol::cancel::CancelRequest;
use estop_protocol::claim::{ClaimRequest, Claimed};
use estop_protocol::envelope::Data;
use estop_protocol::register::{RegisterRequest, Registered};
use estop_protocol::run::State;
use estop_protocol::show::Shown;

use super::heartbeat::Held;
use super::messages;
use super::supervisor::{Event, Signal};
use crate::exit::Exit;
use crate::retry;
use crate::service::{Answer, Call, Failure, Service, Trouble};
use crate::terminal;

/// How often a waiting run asks, so that it notices soon that it was cancelled.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How often at most a changed reason for the wait is told: it may hold a countdown.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How COMMAND may start.
pub enum Start {
    /// The run is ours.
    Held(Held),
    /// Without the service.
    Unsupervised,
    /// Not at all.
    Never(Exit),
}

/// What a start needs.
pub struct Starter<'a> {
    /// The service.
    pub service: &'a Service,
    /// Signals come through it.
    pub inbox: &'a Receiver<Event>,
    /// How long to try before COMMAND starts without the service.
    pub within: Duration,
    /// Whether it must not.
    pub required: bool,
}

/// Why there is no answer.
enum NoAnswer {
    Trouble(Trouble),
    Interrupted(Signal),
}

impl Starter<'_> {
    /// Registers the run and claims it.
    ///
    /// # Errors
    /// What the service refused, or that it is required and missing.
    pub fn start(&self, registration: &RegisterRequest, runner: Option<String>) -> Result<Start, Failure> {
        let register = Call::new("PUT", "/api/test-runs").with_body(registration).repeatable();
        let id = match self.ask(&register, self.within) {
            Ok(answer) => answer.read::<Data<Registered>>()?.data.test_run.id,
            Err(NoAnswer::Trouble(trouble)) => return self.without(&trouble),
            Err(NoAnswer::Interrupted(signal)) => return Ok(Start::Never(Exit::signal(signal.number()))),
        };
        terminal::say(messages::registered(id));
        let request = ClaimRequest { runner };
        let claim = Call::new("POST", format!("/api/test-runs/{id}/claim")).with_body(&request).repeatable();
        self.claim(id, &claim)
    }

    fn claim(&self, id: i64, claim: &Call) -> Result<Start, Failure> {
        let mut told: Option<(String, Instant)> = None;
        loop {
            // Behind another run there is no starting without the service: that run may hold the environment.
            let within = if told.is_some() { Duration::MAX } else { self.within };
            let answer = match self.ask(claim, within) {
                Ok(answer) => answer,
                Err(NoAnswer::Trouble(trouble)) => return self.without(&trouble),
                Err(NoAnswer::Interrupted(signal)) => return Ok(Start::Never(self.give_up(id, signal))),
            };
            if answer.status != 412 {
                let claimed = answer.read::<Data<Claimed>>()?.data;
                let seconds = u64::try_from(claimed.lease.heartbeat_seconds).unwrap_or(0).clamp(1, 60);
                let interval = Duration::from_secs(seconds);
                return Ok(Start::Held(Held { id, lease: claimed.lease.token, interval }));
            }
            let Some(asked) = answer.retry_after else { return Ok(Start::Never(self.over(id, &answer))) };
            let reason = answer.message().unwrap_or_else(|| format!("test run {id} has to wait"));
            if told.as_ref().is_none_or(|(said, at)| *said != reason && at.elapsed() >= TELL_EVERY) {
                terminal::say(format!("{reason} Waiting."));
                told = Some((reason, retry::now()));
            }
            if let Some(signal) = self.pause(asked.clamp(Duration::from_millis(200), ASK_EVERY)) {
                return Ok(Start::Never(self.give_up(id, signal)));
            }
        }
    }

    /// Asks until there is an answer, the time is up, or someone signals.
    fn ask(&self, call: &Call, within: Duration) -> Result<Answer, NoAnswer> {
        if let Some(signal) = self.pause(Duration::ZERO) {
            return Err(NoAnswer::Interrupted(signal));
        }
        let (mut interrupted, mut warned) = (None, false);
        let answer = retry::send(self.service, call, within, |wait, trouble| {
            if !std::mem::replace(&mut warned, true) {
                terminal::warn(format!("{}; trying again", trouble.what));
            }
            interrupted = self.pause(wait);
            interrupted.is_none()
        });
        match interrupted {
            Some(signal) => Err(NoAnswer::Interrupted(signal)),
            None => answer.map_err(NoAnswer::Trouble),
        }
    }

    /// Waits, unless someone signals.
    fn pause(&self, wait: Duration) -> Option<Signal> {
        match self.inbox.recv_timeout(wait) {
            Ok(Event::Signal(signal)) => Some(signal),
            // Nothing else comes before COMMAND has started.
            _ => None,
        }
    }

    fn without(&self, trouble: &Trouble) -> Result<Start, Failure> {
        if self.required {
            let line = format!("{}. The command was not started, because of --require-service", trouble.what);
            return Err(Failure::new(Exit::Refused, line));
        }
        terminal::warn(format!("{}. The command runs without estop: nobody can stop it from there", trouble.what));
        Ok(Start::Unsupervised)
    }

    /// The run was registered and nobody will run it: it is cancelled, so that it does not hold up others.
    fn give_up(&self, id: i64, signal: Signal) -> Exit {
        let request = CancelRequest { reason: Some("interrupted while waiting".to_owned()) };
        let cancel = Call::new("POST", format!("/api/test-runs/{id}/cancel")).with_body(&request).repeatable();
        match retry::send_patiently(self.service, &cancel, Duration::from_secs(5)) {
            Ok(answer) if matches!(answer.status, 200 | 412) => {
                terminal::say(answer.message().unwrap_or_default());
            }
            Ok(answer) => terminal::warn(format!("test run {id} could not be cancelled: {}", answer.refusal().line)),
            Err(trouble) => terminal::warn(format!("test run {id} could not be cancelled: {}", trouble.what)),
        }
        Exit::signal(signal.number())
    }

    /// The run was over before COMMAND started.
    fn over(&self, id: i64, refused: &Answer) -> Exit {
        let show = Call::new("GET", format!("/api/test-runs/{id}"));
        let shown = retry::send_patiently(self.service, &show, Duration::from_secs(5)).ok();
        let run = shown.and_then(|answer| answer.read::<Data<Shown>>().ok()).map(|one| one.data.test_run);
        match run.as_ref().map(|run| (run.state, run.cancel.as_ref())) {
            Some((State::Cancelled, Some(cancel))) => {
                terminal::say(format!("{} The command was not started.", messages::cancelled(id, cancel)));
                Exit::Cancelled
            }
            Some((State::Started, _)) => {
                terminal::error(format!("{} The command was not started.", refused.message().unwrap_or_default()));
                Exit::Refused
            }
            // Without the scope `read` there is only the sentence. Nobody but a cancel can end a run that waits.
            _ => {
                terminal::say(format!("{} The command was not started.", refused.message().unwrap_or_default()));
                Exit::Cancelled
            }
        }
    }
}
