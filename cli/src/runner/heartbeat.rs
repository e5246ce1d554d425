//! Heartbeats: a thread that asks the service at a fixed rate whether to go on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::heartbeat::{Beat, HeartbeatRequest};

use super::lease::Lease;
use super::supervisor::{Event, HeartbeatOutcome};
use crate::clock;
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
        let started = clock::now();
        let outcome = match send(service, run) {
            Ok(outcome) => {
                delays = backoff();
                // From start to start, so that a slow response does not delay the next heartbeat.
                delay = run.interval.saturating_sub(clock::since(started));
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

pub struct HeartbeatError {
    message: String,
    retry_after: Option<Duration>,
}

/// Sends one heartbeat.
///
/// # Errors
/// Whatever says nothing about the run: an outage, a 500, a proxy's refusal. None of them stops the tests.
pub fn send(service: &Service, run: &HeldRun) -> Result<HeartbeatOutcome, HeartbeatError> {
    let request = HeartbeatRequest { lease: run.token.clone(), counts: None };
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
