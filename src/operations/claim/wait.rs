//! A claim that has to wait: for whom, and for how long at most.

use estop_protocol::run::State;
use estop_protocol::time::Timestamp;
use serde::Deserialize;

use crate::config::Config;
use crate::http::reply::Reply;

/// The run that holds the concurrency group which another one waits for.
#[derive(Debug, Deserialize)]
pub struct First {
    id: i64,
    /// `queued`, `started`, or `cancelled` with its runner still stopping.
    state: State,
    /// Who cancelled, took or registered it, whichever came last.
    by: String,
    started_at: Option<Timestamp>,
    cancelled_at: Option<Timestamp>,
    lease_expires_at: Option<Timestamp>,
}

impl First {
    /// The 412 for test run `id`; `Retry-After` says how long the wait lasts at most.
    pub fn reply(&self, id: i64, config: &Config, now: Timestamp) -> Reply {
        let (what, until) = match (self.state, self.cancelled_at, self.started_at) {
            (State::Cancelled, Some(at), _) => {
                // Heartbeats renew its lease for as long as a stop may take; then the lease runs out, or it has before.
                let renewed = at.plus(config.stop_limit + config.lease);
                let expires_at = self.lease_expires_at.map_or(renewed, |expires_at| expires_at.max(renewed));
                let until = expires_at.plus(config.unconfirmed_after);
                (format!("{} cancelled it and its runner is still stopping", self.by), until)
            }
            (State::Started, _, Some(at)) => {
                (format!("its runner has been at it since {at}"), at.plus(config.over_age_after))
            }
            _ => ("it is queued".to_owned(), now.plus(config.unclaimed_after)),
        };
        let seconds = until.since(now).max(0) / 1000 + 1;
        let minutes = (seconds + 59) / 60;
        let message =
            format!("Test run {id} waits for test run {}: {what}. That lasts {minutes} min at most.", self.id);
        let mut reply = Reply::refused("waits", message);
        reply.headers.push(("Retry-After", seconds.to_string()));
        reply
    }
}
