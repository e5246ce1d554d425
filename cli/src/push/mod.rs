//! What the service tells by itself: a WebSocket of `estop_protocol::watch`, kept open by a thread.
//!
//! It only makes estop ask or stop earlier. Whatever comes late, twice or never on it comes with the next heartbeat or the
//! next look as well, so that nothing here has to be reported, and a network that lets no WebSocket through costs time alone.

mod line;
mod probe;
mod pulse;
mod reconnect;
mod socket;

pub use line::{Credential, Line, News, Outbox};
pub use probe::{Obstacle, probe};
