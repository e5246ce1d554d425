//! The machine: what can happen to a run, and what comes of it.
//!
//! [`after`] is the whole truth about a run of one shard in one total function, [`shards::after`] about one of many. Nothing
//! in the service calls them to decide: the guarded statements in `operations` and `sweeper` decide, and
//! `tests/native/machine.rs` holds each of them against it in every state, on real SQLite.

pub mod shards;

use estop_protocol::run::{ConfirmedStop, Finish, State, StopOutcome};

/// For how long after a runner was given up as lost its result is still kept. Milliseconds.
pub const KEEP_LATE_FOR: i64 = 7 * 24 * 3600 * 1000;

/// What can happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A runner takes it.
    Claim,
    /// Its runner, with the lease token, says that it lives.
    Heartbeat,
    /// Its runner, with the lease token, says how it ended.
    Finish(Finish),
    /// Someone stops it.
    Cancel,
    /// A timeout of the sweeper passed.
    Sweep(Timeout),
}

/// The timeouts of the sweeper, in the order in which a tick looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// It is `queued`, could have been claimed, and no runner came.
    Unclaimed,
    /// Started, and its lease ran out.
    Lapsed,
    /// Started, no runner holds a shard of it, and some shard was never claimed.
    Incomplete,
    /// Started too long ago, however alive.
    OverAge,
    /// Cancelled, the runner never confirmed, and its lease ran out. Closes the stop record; the state stays.
    Unconfirmed,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::Claim,
        Self::Heartbeat,
        Self::Finish(Finish::Ended),
        Self::Finish(Finish::Error),
        Self::Cancel,
        Self::Sweep(Timeout::Unclaimed),
        Self::Sweep(Timeout::Lapsed),
        Self::Sweep(Timeout::Incomplete),
        Self::Sweep(Timeout::OverAge),
        Self::Sweep(Timeout::Unconfirmed),
    ];
}

/// The state of a run in `state` after `event`, or `None` where the event is refused and leaves the state as it is. What a
/// late finish or the sweeper may still write into the stop record of a cancelled run is [`stop_after`].
pub fn after(state: State, event: Event) -> Option<State> {
    match (state, event) {
        (State::Queued, Event::Claim) => Some(State::Started),
        (State::Started, Event::Heartbeat) => Some(State::Started),
        (State::Started, Event::Finish(Finish::Ended)) => Some(State::Ended),
        (State::Started, Event::Finish(Finish::Error)) => Some(State::Error),
        (State::Pending | State::Queued | State::Started, Event::Cancel) => Some(State::Cancelled),
        (State::Queued, Event::Sweep(Timeout::Unclaimed)) => Some(State::Cancelled),
        (State::Started, Event::Sweep(Timeout::Lapsed | Timeout::OverAge)) => Some(State::Cancelled),
        _ => None,
    }
}

/// The stop record with which a run in `state` begins when `event` cancels it; `None` if `event` does not.
pub fn stop_at_cancel(state: State, event: Event) -> Option<StopOutcome> {
    match (after(state, event)?, state, event) {
        (State::Cancelled, State::Started, Event::Sweep(Timeout::Lapsed)) => Some(StopOutcome::Lost),
        (State::Cancelled, State::Started, _) => Some(StopOutcome::Stopping),
        (State::Cancelled, _, _) => Some(StopOutcome::NeverStarted),
        _ => None,
    }
}

/// The stop record after `event`, in which the runner, where it speaks, says `how` it stopped; `None` where the record
/// stays. It closes once.
pub fn stop_after(stop: StopOutcome, event: Event, how: ConfirmedStop) -> Option<StopOutcome> {
    match (stop, event, how) {
        (StopOutcome::Stopping, Event::Finish(_), ConfirmedStop::Graceful) => Some(StopOutcome::Graceful),
        (StopOutcome::Stopping, Event::Finish(_), ConfirmedStop::Terminated) => Some(StopOutcome::Terminated),
        (StopOutcome::Stopping, Event::Finish(_), ConfirmedStop::Killed) => Some(StopOutcome::Killed),
        (StopOutcome::Stopping, Event::Sweep(Timeout::Unconfirmed), _) => Some(StopOutcome::Lost),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_over_stays_as_it_is() {
        for state in State::ALL.iter().copied().filter(|state| state.is_over()) {
            for event in Event::ALL {
                assert_eq!(after(state, event), None, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_cancel_reaches_every_state_that_is_not_over() {
        for state in State::ALL.iter().copied() {
            assert_eq!(after(state, Event::Cancel), (!state.is_over()).then_some(State::Cancelled));
        }
    }
}
