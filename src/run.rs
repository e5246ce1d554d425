//! The machine: what states a run can be in, and what can happen to it.
//!
//! [`State::after`] is the whole truth about it in one total function. Nothing in the service calls it to decide:
//! the guarded statements in [`crate::sql`] decide, and `tests/native/machine.rs` holds each of them against it in every
//! state, on real SQLite.

use serde::{Deserialize, Serialize};

/// Where a run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum State {
    /// Waits behind another run (concurrency limit).
    Pending,
    /// May start; no runner has it yet.
    Queued,
    /// A runner holds its lease.
    Started,
    /// Over: finished; `result` says how.
    Ended,
    /// Over: broke; `error_code` says how.
    Error,
    /// Over: stopped by someone or something; `cancel` says by whom and why.
    Cancelled,
}

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
    /// A clock of the sweeper ran out.
    Sweep(Clock),
}

/// The two ways in which a runner finishes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum Finish {
    /// The tests ran to their end, passed or failed.
    Ended,
    /// The run broke.
    Error,
}

/// The clocks of the sweeper, in the order in which a tick looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Waits (`pending` or `queued`) and no runner came.
    Unclaimed,
    /// Started, and its lease ran out.
    Lapsed,
    /// Started too long ago, however alive.
    OverAge,
    /// Cancelled, the runner never confirmed, and its lease ran out. Closes the stop record; the state stays.
    Unconfirmed,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 9] = [
        Self::Claim,
        Self::Heartbeat,
        Self::Finish(Finish::Ended),
        Self::Finish(Finish::Error),
        Self::Cancel,
        Self::Sweep(Clock::Unclaimed),
        Self::Sweep(Clock::Lapsed),
        Self::Sweep(Clock::OverAge),
        Self::Sweep(Clock::Unconfirmed),
    ];
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Queued, Self::Started, Self::Ended, Self::Error, Self::Cancelled];

    /// The name in SQL and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Error | Self::Cancelled)
    }

    /// The state after `event`, or `None` where the event is refused and leaves the state as it is. What a late finish
    /// or the sweeper may still write into the stop record of a cancelled run is [`StopOutcome::after`].
    pub fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Queued, Event::Claim) => Some(Self::Started),
            (Self::Started, Event::Heartbeat) => Some(Self::Started),
            (Self::Started, Event::Finish(Finish::Ended)) => Some(Self::Ended),
            (Self::Started, Event::Finish(Finish::Error)) => Some(Self::Error),
            (Self::Pending | Self::Queued | Self::Started, Event::Cancel) => Some(Self::Cancelled),
            (Self::Pending | Self::Queued, Event::Sweep(Clock::Unclaimed)) => Some(Self::Cancelled),
            (Self::Started, Event::Sweep(Clock::Lapsed | Clock::OverAge)) => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum RunResult {
    /// Every test that counts passed.
    Passed,
    /// At least one did not.
    Failed,
}

/// How a run broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum ErrorCode {
    /// The branch under test could not be merged.
    MergeConflict,
    /// The runner could not be told to start.
    DispatchFailed,
    /// The tests ran and left no report.
    ReportNotGenerated,
    /// The test command itself failed.
    RunFailedWithError,
    /// The machine under the runner went away.
    WorkerInterrupted,
    /// The shards' reports could not be merged.
    MergeReportsFailed,
}

/// What brought a cancel about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum Cause {
    /// Someone with a key.
    User,
    /// The sweeper: a clock ran out.
    Stale,
    /// A newer run took its place.
    Superseded,
}

/// Whether the runner of a cancelled run has really stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum StopOutcome {
    /// No runner ever held the run.
    NeverStarted,
    /// The runner was told, or will be at its next heartbeat.
    Stopping,
    /// The runner confirmed: the tests ended by themselves.
    Graceful,
    /// The runner confirmed: it had to kill them.
    Killed,
    /// The lease ran out without a word.
    Lost,
}

impl StopOutcome {
    /// The stop record that a run in `state` begins with when `event` cancels it; `None` if `event` does not.
    pub fn at_cancel(state: State, event: Event) -> Option<Self> {
        match (state.after(event)?, state, event) {
            (State::Cancelled, State::Started, Event::Sweep(Clock::Lapsed)) => Some(Self::Lost),
            (State::Cancelled, State::Started, _) => Some(Self::Stopping),
            (State::Cancelled, _, _) => Some(Self::NeverStarted),
            _ => None,
        }
    }

    /// The stop record after `event`, in which the runner, where it speaks, says `how` it stopped; `None` where the
    /// record stays. It closes once.
    pub fn after(self, event: Event, how: Stopped) -> Option<Self> {
        match (self, event, how) {
            (Self::Stopping, Event::Finish(_), Stopped::Graceful) => Some(Self::Graceful),
            (Self::Stopping, Event::Finish(_), Stopped::Killed) => Some(Self::Killed),
            (Self::Stopping, Event::Sweep(Clock::Unconfirmed), _) => Some(Self::Lost),
            _ => None,
        }
    }
}

/// The two ways in which a runner can confirm that it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum Stopped {
    /// The tests ended by themselves.
    Graceful,
    /// They had to be killed.
    Killed,
}

/// The name of a unit variant in SQL and JSON, as serde writes it.
macro_rules! name_by_serde {
    ($($type:ty),+) => {$(
        impl $type {
            /// The name in SQL and JSON.
            pub fn name(self) -> String {
                serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
            }
        }
    )+};
}
pub(crate) use name_by_serde;
name_by_serde!(RunResult, ErrorCode, Stopped, Finish, StopOutcome);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_over_stays_as_it_is() {
        for state in State::ALL.into_iter().filter(|s| s.is_over()) {
            for event in Event::ALL {
                assert_eq!(state.after(event), None, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_cancel_reaches_every_state_that_is_not_over() {
        for state in State::ALL {
            assert_eq!(state.after(Event::Cancel), (!state.is_over()).then_some(State::Cancelled));
        }
    }

    #[test]
    fn names_are_the_contract() {
        assert_eq!(State::ALL.map(State::name), ["pending", "queued", "started", "ended", "error", "cancelled"]);
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).expect("a name"), state.name());
        }
        assert_eq!(RunResult::Passed.name(), "passed");
        assert_eq!(ErrorCode::MergeReportsFailed.name(), "merge_reports_failed");
        assert_eq!(Stopped::Graceful.name(), "graceful");
    }
}
