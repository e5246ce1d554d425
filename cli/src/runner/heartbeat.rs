//! Heartbeats: a thread that asks the service whether to go on, often unless a line is open on which the service tells.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::heartbeat::{Beat, HeartbeatRequest, StopOrder, StopStep};
use estop_protocol::watch::Message;
use serde::de::IgnoredAny;

use super::lease::Lease;
use super::rhythm::Rhythm;
use super::supervisor::{Event, HeartbeatOutcome};
use crate::clock;
use crate::push::{Credential, Line, News};
use crate::retry;
use crate::service::{Call, Response, Service};

/// A run whose lease is ours.
#[derive(Clone)]
pub struct HeldRun {
    pub id: i64,
    /// The lease token.
    pub token: String,
    /// The lease as the claim brought it.
    pub lease: Lease,
    pub rhythm: Rhythm,
}

/// The threads' handle: dropping it ends the heartbeats and closes the line.
pub struct Heartbeats {
    turns: Sender<Turn>,
    #[expect(dead_code, reason = "dropping it closes the line")]
    line: Option<Line>,
}

/// What changes the rhythm.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The line is open, or not any more.
    Line(bool),
    /// An order has come on the line.
    Ordered,
    /// COMMAND is being stopped, and this was done.
    Step(StopStep),
    End,
}

/// The longest delay between retries during an outage, and so the longest that a stop is late after it.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

impl Heartbeats {
    /// Starts them, and with `push` opens a line if the service has any. Their outcomes and its orders go into `events`.
    pub fn start(service: Service, run: HeldRun, push: bool, events: Sender<Event>) -> Self {
        let (turns, inbox) = channel();
        let line = (push && run.rhythm.has_lines()).then(|| open_line(&service, &run, events.clone(), turns.clone()));
        thread::spawn(move || send_until_the_end(&service, &run, &events, &inbox));
        Self { turns, line }
    }
}

impl Heartbeats {
    /// Has a heartbeat sent that tells whoever watches what was just done to stop COMMAND. If it fails, nobody is told.
    pub fn tell(&self, step: StopStep) {
        let _ = self.turns.send(Turn::Step(step));
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        let _ = self.turns.send(Turn::End);
    }
}

fn open_line(service: &Service, run: &HeldRun, events: Sender<Event>, turns: Sender<Turn>) -> Line {
    let id = run.id;
    let path = format!("/api/test-runs/{id}/watch");
    // Nobody hears it once the run is over.
    Line::open(service, path, Credential::Lease(run.token.clone()), move |news| match news {
        News::Opened => drop(turns.send(Turn::Line(true))),
        News::Closed => drop(turns.send(Turn::Line(false))),
        News::Message(text) => {
            if let Some(order) = order_for(id, &text) {
                let _ = events.send(Event::Order(order));
                let _ = turns.send(Turn::Ordered);
            }
        }
    })
}

/// The order in a message, if it is one for this run.
fn order_for(id: i64, text: &str) -> Option<StopOrder> {
    match serde_json::from_str(text) {
        Ok(Message::<IgnoredAny>::Stop { test_run, stop, .. }) if test_run == id => Some(stop),
        _ => None,
    }
}

fn send_until_the_end(service: &Service, run: &HeldRun, events: &Sender<Event>, turns: &Receiver<Turn>) {
    let mut rhythm = run.rhythm;
    let first = Duration::from_millis(500).min(rhythm.short());
    let backoff = || retry::backoff(first, LONGEST_DELAY);
    let mut delays = backoff();
    let mut delay = rhythm.interval();
    while let Some(step) = wait(&mut rhythm, delay, turns) {
        let started = clock::now();
        let outcome = match send(service, run, step) {
            Ok(outcome) => {
                delays = backoff();
                if matches!(outcome, HeartbeatOutcome::Stop(_)) {
                    rhythm.stopping();
                }
                // From start to start, so that a slow response does not delay the next heartbeat.
                delay = rhythm.interval().saturating_sub(clock::since(started));
                outcome
            }
            Err(HeartbeatError { message, retry_after }) => {
                delay = retry::delay_after(retry_after, delays.next().unwrap_or(LONGEST_DELAY));
                HeartbeatOutcome::Failed(message)
            }
        };
        // They go on while the tests are being stopped: the lease must not run out before the stop is confirmed, and each
        // answer brings the order as it stands then.
        let is_last = matches!(outcome, HeartbeatOutcome::LeaseLost(_));
        if events.send(Event::Heartbeat(outcome)).is_err() || is_last {
            return;
        }
    }
}

/// Waits for the next heartbeat's time, and returns the step that it tells, if any; `None` if there is to be no heartbeat.
fn wait(rhythm: &mut Rhythm, delay: Duration, turns: &Receiver<Turn>) -> Option<Option<StopStep>> {
    let mut deadline = clock::now().saturating_add(delay);
    loop {
        match turns.recv_timeout(deadline.saturating_sub(clock::now())) {
            // At once: an order may have fallen between the last heartbeat and a line that has opened, or got lost with one
            // that is gone.
            Ok(Turn::Line(is_open)) => {
                rhythm.line(is_open);
                return Some(None);
            }
            Ok(Turn::Step(step)) => return Some(Some(step)),
            Ok(Turn::Ordered) => {
                rhythm.stopping();
                deadline = deadline.min(clock::now().saturating_add(rhythm.interval()));
            }
            Ok(Turn::End) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => return Some(None),
        }
    }
}

pub struct HeartbeatError {
    message: String,
    retry_after: Option<Duration>,
}

/// Sends one heartbeat.
///
/// # Errors
/// Whatever says nothing about the run: an outage, a 500, a proxy's refusal. None of them stops the tests.
pub fn send(service: &Service, run: &HeldRun, step: Option<StopStep>) -> Result<HeartbeatOutcome, HeartbeatError> {
    let request = HeartbeatRequest { lease: run.token.clone(), counts: None, step };
    let call = Call::new("POST", format!("/api/test-runs/{}/heartbeat", run.id)).with_body(&request);
    let response = service
        .send(&call)
        .map_err(|error| HeartbeatError { message: error.message, retry_after: error.retry_after })?;
    if let Some(message) = lease_lost(&response) {
        return Ok(HeartbeatOutcome::LeaseLost(message));
    }
    let beat = response
        .read::<Data<Beat>>()
        .map_err(|failure| HeartbeatError { message: failure.message, retry_after: None })?
        .data;
    let goes_on = HeartbeatOutcome::Continue { expires_at: beat.lease.expires_at, sent: response.sent };
    Ok(beat.stop.map_or(goes_on, HeartbeatOutcome::Stop))
}

/// The service's message if it says that the lease is not, or no longer, ours. Nothing but the lease token authorises a
/// heartbeat and a finish, so a 401, 403 or 404 means the same as a 409: no run that this token holds. But only the
/// service can say so: the same status from a proxy, without the service's own error, says nothing about the run.
pub fn lease_lost(response: &Response) -> Option<String> {
    matches!(response.status, 401 | 403 | 404 | 409).then(|| response.error())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_for_this_run_and_of_a_kind_that_is_known() {
        let order = |kind: &str, id: i64| {
            let stop = r#"{"reason":null,"cause":"user","by":"ada","at":"2026-11-24T09:30:00.000Z","grace_seconds":10,"lease_lost":false}"#;
            order_for(7, &format!(r#"{{"type":"{kind}","test_run":{id},"version":3,"stop":{stop},"run":{{}}}}"#))
        };
        assert_eq!(order("stop", 7).map(|order| order.by).as_deref(), Some("ada"));
        assert_eq!((order("stop", 8), order("run", 7), order("pause", 7)), (None, None, None));
        assert_eq!((order_for(7, "pong"), order_for(7, "{}")), (None, None));
    }

    #[test]
    fn a_line_that_opens_or_dies_brings_a_heartbeat_at_once_and_an_order_brings_it_soon() {
        let (turns, inbox) = channel();
        let claimed = estop_protocol::claim::Lease {
            token: String::new(),
            expires_at: estop_protocol::time::Timestamp(120_000),
            heartbeat_seconds: 1,
            heartbeat_seconds_watched: Some(30),
        };
        let counted = estop_protocol::time::Timestamp(0);
        let service = crate::runner::lease::ServiceTime { date: None, counted };
        let lease = Lease::claimed(claimed.expires_at, Duration::ZERO, service);
        let mut rhythm = Rhythm::new(&claimed, lease);
        let minute = Duration::from_secs(60);
        for is_open in [true, false, true] {
            turns.send(Turn::Line(is_open)).expect("it listens");
            assert_eq!(wait(&mut rhythm, minute, &inbox), Some(None));
            assert_eq!(rhythm.interval() > rhythm.short(), is_open);
        }
        turns.send(Turn::Ordered).expect("it listens");
        let started = clock::now();
        assert!(wait(&mut rhythm, minute, &inbox).is_some() && clock::since(started) < Duration::from_secs(20));
        turns.send(Turn::Step(StopStep::Sigint)).expect("it listens");
        assert_eq!(wait(&mut rhythm, minute, &inbox), Some(Some(StopStep::Sigint)));
        turns.send(Turn::End).expect("it listens");
        assert_eq!(wait(&mut rhythm, minute, &inbox), None);
    }

    #[test]
    fn a_lease_is_lost_only_if_the_service_itself_says_so() {
        let error = r#"{"data":null,"error":{"message":"No such run."}}"#;
        for status in [401, 403, 404, 409] {
            assert_eq!(lease_lost(&Response::of(status, error)).as_deref(), Some("No such run."), "{status}");
            for others in ["<html>Log in</html>", "", r#"{"message":"Not Found"}"#] {
                assert_eq!(lease_lost(&Response::of(status, others)), None, "{status} {others}");
            }
        }
        for status in [200, 400, 412, 413] {
            assert_eq!(lease_lost(&Response::of(status, error)), None, "{status}");
        }
    }
}
