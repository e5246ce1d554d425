//! The heartbeat: a thread that asks the service at a fixed pace whether to go on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::heartbeat::{self as protocol, HeartbeatRequest};

use super::supervisor::{Beat, Event};
use crate::retry;
use crate::service::{Call, Service};

/// A run that this runner holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// The run's id.
    pub id: i64,
    /// The lease token: the fence.
    pub lease: String,
    /// From the start of one heartbeat to that of the next.
    pub interval: Duration,
}

/// The beating heart. It stops when this is dropped.
pub struct Heart(#[expect(dead_code, reason = "dropping it is the message")] Sender<()>);

/// The longest pause between two tries while the service is away: how much later than the service a stop may come.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Heart {
    /// Starts beating. What comes back goes into `events`.
    pub fn start(service: Service, held: Held, events: Sender<Event>) -> Self {
        let (alive, ended) = channel();
        thread::spawn(move || beat(&service, &held, &events, &ended));
        Self(alive)
    }
}

fn beat(service: &Service, held: &Held, events: &Sender<Event>, ended: &Receiver<()>) {
    let pauses = || retry::waits(Duration::from_millis(500).min(held.interval), LONGEST_PAUSE);
    let mut troubled = pauses();
    let mut wait = held.interval;
    // A wait that ends by itself means: go on.
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let started = retry::now();
        let (beat, pause) = match once(service, held) {
            Ok(beat) => {
                troubled = pauses();
                // The pace counts from start to start, so that a slow answer does not delay the next question.
                (beat, held.interval.saturating_sub(started.elapsed()))
            }
            Err((what, asked)) => {
                let planned = troubled.next().unwrap_or(LONGEST_PAUSE);
                (Beat::Trouble(what), asked.map_or(planned, |asked| asked.clamp(planned, Duration::from_secs(60))))
            }
        };
        let last = matches!(beat, Beat::Stop(_) | Beat::Lost(_));
        if events.send(Event::Beat(beat)).is_err() || last {
            return;
        }
        wait = pause;
    }
}

/// One heartbeat: what it came to, or the trouble in words and how long the service asks to be left alone.
///
/// # Errors
/// Whatever says nothing about the run, a key that was revoked meanwhile included: the tests go on.
pub fn once(service: &Service, held: &Held) -> Result<Beat, (String, Option<Duration>)> {
    let request = HeartbeatRequest { lease: held.lease.clone() };
    let call = Call::new("POST", format!("/api/test-runs/{}/heartbeat", held.id)).with_body(&request);
    let answer = service.send(&call).map_err(|trouble| (trouble.what, trouble.retry_after))?;
    if answer.status == 409 {
        return Ok(Beat::Lost(answer.message().unwrap_or_default()));
    }
    let beat: Data<protocol::Beat> = answer.read().map_err(|failure| (failure.line, None))?;
    Ok(beat.data.stop.map_or(Beat::Alive, Beat::Stop))
}
