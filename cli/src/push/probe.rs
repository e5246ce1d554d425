//! Whether WebSockets get through to the service, for `estop self-check`.

use std::time::Duration;

use estop_protocol::watch::KEY_IS_OVER;

use super::line::Credential;
use super::reconnect::Attempt;
use super::socket::{Cutter, Heard, Socket};
use crate::clock;
use crate::service::Service;

/// How long to wait for the answer to a ping.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Why one is of no use.
#[derive(Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The answer to the handshake has this status instead of 101.
    Refused(u16),
    /// There was no answer, or none that a WebSocket gives.
    Failed,
    /// It opened, and then nothing came.
    Mute,
}

/// Opens a line as `estop run` does, pings, and says how long both took.
pub fn probe(service: &Service, path: &str) -> Result<Duration, Obstacle> {
    let started = clock::now();
    let mut socket = match Socket::open(service, path, &Credential::Key, &Cutter::default()) {
        Ok(socket) => socket,
        Err(Attempt::Refused(status, _)) => return Err(Obstacle::Refused(status)),
        Err(_) => return Err(Obstacle::Failed),
    };
    socket.ping().map_err(|_| Obstacle::Failed)?;
    match socket.hear(ANSWER_WITHIN) {
        Heard::Text(_) | Heard::Sign => Ok(clock::since(started)),
        Heard::Nothing => Err(Obstacle::Mute),
        Heard::Closed(Some(KEY_IS_OVER)) => Err(Obstacle::Refused(401)),
        Heard::Closed(_) => Err(Obstacle::Failed),
    }
}
