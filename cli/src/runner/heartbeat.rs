//! Heartbeats: a thread that asks the service whether to go on, often unless a line is open on which the service tells.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::heartbeat::{Beat, HeartbeatRequest, StopOrder, StopStep};
use estop_protocol::watch::Message;
use serde::de::IgnoredAny;

use super::lease::Lease;
use super::progress::Exchange;
use super::rhythm::Rhythm;
use super::supervisor::{Event, HeartbeatOutcome};
use super::teller::{Said, Teller};
use crate::clock;
use crate::push::{Credential, Line, News, Outbox};
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
    /// Whether somebody watches the run.
    Watched(bool),
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
    /// Both tell what the tests tell by `exchange`.
    pub fn start(
        service: Service,
        run: HeldRun,
        push: bool,
        exchange: Option<Arc<Exchange>>,
        is_fail_fast: bool,
        events: Sender<Event>,
    ) -> Self {
        let (turns, inbox) = channel();
        let outbox = Outbox::default();
        let line = (push && run.rhythm.has_lines())
            .then(|| open_line(&service, &run, outbox.clone(), events.clone(), turns.clone()));
        let teller = Teller::new(exchange, outbox, is_fail_fast);
        thread::spawn(move || send_until_the_end(&service, &run, teller, &events, &inbox));
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

fn open_line(service: &Service, run: &HeldRun, outbox: Outbox, events: Sender<Event>, turns: Sender<Turn>) -> Line {
    let id = run.id;
    let path = format!("/api/test-runs/{id}/watch");
    // Nobody hears it once the run is over.
    Line::open_with(service, path, Credential::Lease(run.token.clone()), Some(outbox), move |news| match news {
        News::Opened => drop(turns.send(Turn::Line(true))),
        News::Closed => drop(turns.send(Turn::Line(false))),
        News::Message(text) => match heard(id, &text) {
            Some(Heard::Order(order)) => {
                let _ = events.send(Event::Order(order));
                let _ = turns.send(Turn::Ordered);
            }
            Some(Heard::Watched(is_watched)) => drop(turns.send(Turn::Watched(is_watched))),
            None => {}
        },
    })
}

/// What a message means to the runner of a shard.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Order(StopOrder),
    /// Whether somebody watches.
    Watched(bool),
}

/// What a message says, if it is for this run and of a kind that is known.
fn heard(id: i64, text: &str) -> Option<Heard> {
    match serde_json::from_str(text) {
        Ok(Message::<IgnoredAny>::Stop { test_run, stop, .. }) if test_run == id => Some(Heard::Order(stop)),
        Ok(Message::Watched { watched }) => Some(Heard::Watched(watched)),
        _ => None,
    }
}

fn send_until_the_end(
    service: &Service,
    run: &HeldRun,
    mut teller: Teller,
    events: &Sender<Event>,
    turns: &Receiver<Turn>,
) {
    let mut rhythm = run.rhythm;
    let first = Duration::from_millis(500).min(rhythm.short());
    let backoff = || retry::backoff(first, LONGEST_DELAY);
    let mut delays = backoff();
    let mut delay = rhythm.interval();
    while let Some(step) = wait(&mut rhythm, delay, &mut teller, turns) {
        let started = clock::now();
        teller.look(started);
        let said = teller.say();
        let outcome = match send(service, run, step, &said) {
            Ok(outcome) => {
                delays = backoff();
                if let HeartbeatOutcome::Continue { expires_at, .. } = &outcome {
                    teller.answered(&said, *expires_at);
                }
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
fn wait(rhythm: &mut Rhythm, delay: Duration, teller: &mut Teller, turns: &Receiver<Turn>) -> Option<Option<StopStep>> {
    let started = clock::now();
    let mut deadline = started.saturating_add(delay);
    loop {
        let left = deadline.saturating_sub(clock::now());
        match turns.recv_timeout(left.min(teller.next_look())) {
            // At once: an order may have fallen between the last heartbeat and a line that has opened, or got lost with one
            // that is gone.
            Ok(Turn::Line(is_open)) => {
                rhythm.line(is_open);
                if !is_open {
                    teller.watched(false, clock::now());
                }
                return Some(None);
            }
            Ok(Turn::Watched(is_watched)) => teller.watched(is_watched, clock::now()),
            Ok(Turn::Step(step)) => return Some(Some(step)),
            Ok(Turn::Ordered) => {
                rhythm.stopping();
                deadline = deadline.min(clock::now().saturating_add(rhythm.interval()));
            }
            Ok(Turn::End) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) if clock::now() >= deadline => return Some(None),
            Err(RecvTimeoutError::Timeout) => {
                teller.look(clock::now());
                if teller.has_urgent_news() {
                    deadline = deadline.min(started.saturating_add(rhythm.short().min(delay)));
                }
            }
        }
    }
}

struct HeartbeatError {
    message: String,
    retry_after: Option<Duration>,
}

/// Sends one heartbeat.
///
/// # Errors
/// Whatever says nothing about the run: an outage, a 500, a proxy's refusal. None of them stops the tests.
fn send(
    service: &Service,
    run: &HeldRun,
    step: Option<StopStep>,
    said: &Said,
) -> Result<HeartbeatOutcome, HeartbeatError> {
    let (progress, failures) = (said.progress.clone(), said.failures.clone());
    let request = HeartbeatRequest { lease: run.token.clone(), counts: None, progress, failures, step };
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
            heard(7, &format!(r#"{{"type":"{kind}","test_run":{id},"version":3,"stop":{stop},"run":{{}}}}"#))
        };
        assert!(matches!(order("stop", 7), Some(Heard::Order(order)) if order.by == "ada"));
        assert_eq!((order("stop", 8), order("run", 7), order("pause", 7)), (None, None, None));
        assert_eq!((heard(7, "pong"), heard(7, "{}")), (None, None));
        let watched = |watched| heard(7, &format!(r#"{{"type":"watched","watched":{watched}}}"#));
        assert_eq!([watched(true), watched(false)], [true, false].map(|is| Some(Heard::Watched(is))));
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
        let mut teller = Teller::new(None, Outbox::default(), false);
        let minute = Duration::from_secs(60);
        for is_open in [true, false, true] {
            turns.send(Turn::Line(is_open)).expect("it listens");
            assert_eq!(wait(&mut rhythm, minute, &mut teller, &inbox), Some(None));
            assert_eq!(rhythm.interval() > rhythm.short(), is_open);
        }
        turns.send(Turn::Ordered).expect("it listens");
        let started = clock::now();
        assert!(
            wait(&mut rhythm, minute, &mut teller, &inbox).is_some() && clock::since(started) < Duration::from_secs(20)
        );
        turns.send(Turn::Step(StopStep::Sigint)).expect("it listens");
        assert_eq!(wait(&mut rhythm, minute, &mut teller, &inbox), Some(Some(StopStep::Sigint)));
        turns.send(Turn::End).expect("it listens");
        assert_eq!(wait(&mut rhythm, minute, &mut teller, &inbox), None);
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
