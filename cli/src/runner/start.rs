//! Before COMMAND starts: registers the run, and claims it as soon as it is its turn.

use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use estop_protocol::cancel::CancelRequest;
use estop_protocol::claim::{ClaimRequest, Claimed};
use estop_protocol::envelope::Data;
use estop_protocol::register::{RegisterRequest, Registered};
use estop_protocol::run::{ConfirmedStop, State};
use estop_protocol::show::Shown;
use estop_protocol::time::Timestamp;
use estop_protocol::whole::Whole;

use super::finish::Ending;
use super::heartbeat::HeldRun;
use super::lease::{Lease, ServiceTime};
use super::messages;
use super::rhythm::Rhythm;
use super::supervisor::{Event, Signal};
use crate::args::Shard;
use crate::clock;
use crate::exit::Exit;
use crate::push::{Credential, Line};
use crate::retry;
use crate::service::{Call, Failure, Response, Service, TransportError};
use crate::terminal;

/// The longest that a waiting run goes without asking, so that it soon notices that it was cancelled.
const CLAIM_INTERVAL: Duration = Duration::from_secs(2);

/// The same while a line is open on which the service tells that something has changed.
const WATCHED_CLAIM_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two messages about the wait. What the run waits for may contain a countdown.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long the requests that tidy up after a start that came to nothing are retried.
const TIDY_UP_WITHIN: Duration = Duration::from_secs(5);

/// Whether and how to start COMMAND.
pub enum Start {
    /// The run is ours.
    Claimed(HeldRun),
    /// Without the service.
    Unsupervised,
    /// Not at all.
    Never(Exit),
}

pub struct Starter<'a> {
    pub service: &'a Service,
    /// News goes there.
    pub events: &'a Sender<Event>,
    /// Signals and news arrive here.
    pub inbox: &'a Receiver<Event>,
    /// How long to try to reach the service.
    pub within: Duration,
    /// Whether to have the service tell when it is our turn.
    pub push: bool,
    /// The flag because of which COMMAND must not start without the service.
    pub required_by: Option<&'static str>,
}

/// Why a request got no response.
enum NoResponse {
    Error(TransportError),
    Interrupted(Signal),
}

impl Starter<'_> {
    pub fn start(
        &self,
        registration: &RegisterRequest,
        shard: Shard,
        runner: Option<String>,
    ) -> Result<Start, Failure> {
        let register = Call::new("PUT", "/api/test-runs").with_body(registration).idempotent();
        let sent = clock::now();
        let registered = match self.send(&register, self.within) {
            // A full database takes no more runs; that must not keep the tests from running.
            Ok(response) if response.status == 507 => return self.without_service(&TransportError::refused(&response)),
            Ok(response) => response.read::<Data<Registered>>()?.data,
            Err(NoResponse::Error(error)) => return self.without_service(&error),
            Err(NoResponse::Interrupted(signal)) => return Ok(Start::Never(Exit::signal(signal.number()))),
        };
        let run = registered.test_run;
        let id = run.id;
        let joined = registered.joined.then_some(run.state);
        match joined {
            None => terminal::info(messages::registered(id)),
            // The refused claim says what became of it.
            Some(state) if state.is_over() => {}
            Some(_) => terminal::info(messages::joined(id, shard.number, shard.total)),
        }
        let is_one_of_many = shard.total > 1;
        let request = ClaimRequest {
            runner,
            shard: is_one_of_many.then_some(Whole(shard.number)),
            attempt: registration.attempt,
        };
        let claim = Call::new("POST", format!("/api/test-runs/{id}/claim")).with_body(&request).idempotent();
        self.claim(id, joined, &claim, |at| run.created_at.plus(whole_millis(at.saturating_sub(sent))))
    }

    /// `joined`: the state in which we found the run, if another job registered it. `service_time`: what the service's
    /// clock shows at most at a moment of ours.
    fn claim(
        &self,
        id: i64,
        joined: Option<State>,
        claim: &Call,
        service_time: impl Fn(Duration) -> Timestamp,
    ) -> Result<Start, Failure> {
        let mut reported: Option<(String, Duration)> = None;
        let mut line: Option<Line> = None;
        loop {
            // A run that waits for another must not start without the service: the other may hold the environment.
            let within = if reported.is_some() { Duration::MAX } else { self.within };
            let response = match self.send(claim, within) {
                Ok(response) => response,
                Err(NoResponse::Error(error)) => return self.without_service(&error),
                // The jobs that made the run go on without us.
                Err(NoResponse::Interrupted(signal)) if joined.is_some() && reported.is_none() => {
                    return Ok(Start::Never(Exit::signal(signal.number())));
                }
                Err(NoResponse::Interrupted(signal)) => return Ok(Start::Never(self.interrupted(id, signal))),
            };
            if response.status != 412 {
                let Claimed { test_run, lease } = response.read::<Data<Claimed>>()?.data;
                // The answer to our claim was lost, and somebody cancelled the run before the repeat.
                if test_run.state.is_over() {
                    return Ok(Start::Never(self.cancelled_since(id, joined, &lease.token)));
                }
                let service = ServiceTime { date: response.date, counted: service_time(response.sent) };
                let counted = Lease::claimed(lease.expires_at, response.sent, service);
                let rhythm = Rhythm::new(&lease, counted);
                return Ok(Start::Claimed(HeldRun { id, token: lease.token, lease: counted, rhythm }));
            }
            let Some(retry_after) = response.retry_after else {
                let joined = joined.filter(|_| reported.is_none());
                return Ok(Start::Never(self.not_claimable(id, joined, &response)));
            };
            let reason = response.message().unwrap_or_else(|| format!("test run {id} has to wait."));
            if reported.as_ref().is_none_or(|(last, at)| *last != reason && clock::since(*at) >= REPORT_INTERVAL) {
                terminal::info(format!("{reason} Waiting."));
                reported = Some((reason, clock::now()));
            }
            if self.push && line.is_none() {
                line = Some(self.open_line(id));
            }
            let is_watched = line.as_ref().is_some_and(Line::is_open);
            let longest = if is_watched { WATCHED_CLAIM_INTERVAL } else { CLAIM_INTERVAL };
            if let Some(signal) = self.wait(retry_after.clamp(Duration::from_millis(200), longest)) {
                return Ok(Start::Never(self.interrupted(id, signal)));
            }
        }
    }

    /// Whatever happens to it or comes on it is a reason to ask again.
    fn open_line(&self, id: i64) -> Line {
        let events = self.events.clone();
        Line::open(self.service, format!("/api/test-runs/{id}/watch"), Credential::Key, move |_| {
            let _ = events.send(Event::News);
        })
    }

    /// Retries until there is a response, time is up, or a signal arrives.
    fn send(&self, call: &Call, within: Duration) -> Result<Response, NoResponse> {
        if let Some(signal) = self.wait(Duration::ZERO) {
            return Err(NoResponse::Interrupted(signal));
        }
        let mut interrupted = None;
        let response = retry::send_with(self.service, call, within, |retry| {
            if retry.attempt == 1 {
                terminal::warn(format!("{}; retrying", retry.error));
            }
            interrupted = self.wait(retry.delay);
            interrupted.is_none()
        });
        match interrupted {
            Some(signal) => Err(NoResponse::Interrupted(signal)),
            None => response.map_err(NoResponse::Error),
        }
    }

    /// Waits. A signal or news ends the wait early. News that comes while a claim is on its way stays in the inbox until
    /// the next wait.
    fn wait(&self, delay: Duration) -> Option<Signal> {
        match self.inbox.recv_timeout(delay) {
            Ok(Event::Signal(signal)) => Some(signal),
            _ => None,
        }
    }

    fn without_service(&self, error: &TransportError) -> Result<Start, Failure> {
        if let Some(flag) = self.required_by {
            let message = format!("{error}. The command was not started because of {flag}");
            return Err(Failure::new(Exit::Refused, message));
        }
        terminal::warn(format!("{error}. The command runs without estop and cannot be cancelled with it"));
        Ok(Start::Unsupervised)
    }

    /// Cancels the run, which nobody will execute now, so that it does not hold up others.
    fn interrupted(&self, id: i64, signal: Signal) -> Exit {
        let request = CancelRequest { reason: Some("interrupted while waiting".to_owned()) };
        let cancel = Call::new("POST", format!("/api/test-runs/{id}/cancel")).with_body(&request).idempotent();
        match retry::send(self.service, &cancel, TIDY_UP_WITHIN) {
            Ok(response) if matches!(response.status, 200 | 412) => {
                terminal::info(response.message().unwrap_or_default());
            }
            Ok(response) => {
                terminal::warn(format!("test run {id} could not be cancelled: {}", response.refusal().message));
            }
            Err(error) => terminal::warn(format!("test run {id} could not be cancelled: {error}")),
        }
        Exit::signal(signal.number())
    }

    /// The run was cancelled after a claim of ours. Nothing has started, so the stop is confirmed.
    fn cancelled_since(&self, id: i64, joined: Option<State>, lease: &str) -> Exit {
        let delivery = Ending::NotStarted(Exit::Cancelled).delivery(id, lease, Some(ConfirmedStop::Graceful));
        match retry::send(self.service, &delivery.call(), TIDY_UP_WITHIN) {
            Ok(refusal) => self.not_claimable(id, joined, &refusal),
            Err(error) => {
                terminal::warn(format!("{error}. Test run {id} was cancelled, and the command was not started"));
                Exit::Cancelled
            }
        }
    }

    /// The run was over, or the shard someone else's, before we could claim it. `joined`: the state of the run when we
    /// joined it, a moment ago.
    fn not_claimable(&self, id: i64, joined: Option<State>, refusal: &Response) -> Exit {
        let show = Call::new("GET", format!("/api/test-runs/{id}"));
        let response = retry::send(self.service, &show, TIDY_UP_WITHIN).ok();
        let run = response.and_then(|response| response.read::<Data<Shown>>().ok()).map(|shown| shown.data.test_run);
        if let Some(cancel) = run.as_ref().and_then(|run| run.cancel.as_ref()) {
            terminal::info(format!("{} The command was not started.", messages::cancelled(id, cancel)));
            return Exit::Cancelled;
        }
        let message = format!("{} The command was not started.", refusal.message().unwrap_or_default());
        // A key without the scope `read` gets only the message. A run of ours, or one that waited, was cancelled since; of
        // one that had started when we joined it, the shard is held or finished.
        match run.map(|run| run.state).or(joined) {
            Some(State::Started | State::Ended | State::Error) => {
                terminal::error(message);
                Exit::Refused
            }
            _ => {
                terminal::info(message);
                Exit::Cancelled
            }
        }
    }
}

fn whole_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
