//! Heartbeats: a thread that asks the service at a fixed rate whether to go on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::heartbeat::{Beat, HeartbeatRequest};

use super::supervisor::{Event, HeartbeatOutcome};
use crate::retry;
use crate::service::{Call, Service};

/// A run whose lease is ours.
#[derive(Clone)]
pub struct HeldRun {
    pub id: i64,
    /// The lease token.
    pub lease: String,
    /// From the start of one heartbeat to the start of the next.
    pub interval: Duration,
}

/// The thread's handle: dropping it ends the heartbeats.
pub struct Heartbeats(#[expect(dead_code, reason = "dropping it closes the channel")] Sender<()>);

/// The longest delay between retries during an outage, and so the longest that a stop is late after it.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

impl Heartbeats {
    /// Starts them. Their outcomes go into `events`.
    pub fn start(service: Service, run: HeldRun, events: Sender<Event>) -> Self {
        let (handle, dropped) = channel();
        thread::spawn(move || send_until_dropped(&service, &run, &events, &dropped));
        Self(handle)
    }
}

fn send_until_dropped(service: &Service, run: &HeldRun, events: &Sender<Event>, dropped: &Receiver<()>) {
    let backoff = || retry::backoff(Duration::from_millis(500).min(run.interval), LONGEST_DELAY);
    let mut delays = backoff();
    let mut delay = run.interval;
    while dropped.recv_timeout(delay) == Err(RecvTimeoutError::Timeout) {
        let started = retry::now();
        let outcome = match send(service, run) {
            Ok(outcome) => {
                delays = backoff();
                // From start to start, so that a slow response does not delay the next heartbeat.
                delay = run.interval.saturating_sub(started.elapsed());
                outcome
            }
            Err(HeartbeatError { message, retry_after }) => {
                delay = retry::delay_after(retry_after, delays.next().unwrap_or(LONGEST_DELAY));
                HeartbeatOutcome::Failed(message)
            }
        };
        let is_last = matches!(outcome, HeartbeatOutcome::Stop(_) | HeartbeatOutcome::LeaseLost(_));
        if events.send(Event::Heartbeat(outcome)).is_err() || is_last {
            return;
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
/// Whatever says nothing about the run: an outage, a 500, and even a 401, because the key may have been revoked since
/// the tests started. None of them stops the tests.
pub fn send(service: &Service, run: &HeldRun) -> Result<HeartbeatOutcome, HeartbeatError> {
    let request = HeartbeatRequest { lease: run.lease.clone() };
    let call = Call::new("POST", format!("/api/test-runs/{}/heartbeat", run.id)).with_body(&request);
    let response = service
        .send(&call)
        .map_err(|error| HeartbeatError { message: error.message, retry_after: error.retry_after })?;
    if response.status == 409 {
        return Ok(HeartbeatOutcome::LeaseLost(response.message().unwrap_or_default()));
    }
    let beat = response
        .read::<Data<Beat>>()
        .map_err(|failure| HeartbeatError { message: failure.message, retry_after: None })?
        .data;
    Ok(beat.stop.map_or(HeartbeatOutcome::Continue, HeartbeatOutcome::Stop))
}
