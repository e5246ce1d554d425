//! The names of states and outcomes, identical in SQL and JSON. The transitions are in the Worker's `src/run.rs`.

use serde::{Deserialize, Serialize};

/// A unit-only enum whose variants have one name in Rust, SQL and JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in SQL and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Where a run is in its life, in that order.
    State {
        /// Waits behind another run (concurrency limit).
        Pending = "pending",
        /// May start; no runner has it yet.
        Queued = "queued",
        /// A runner has claimed a shard of it.
        Started = "started",
        /// Over: finished; `result` says how.
        Ended = "ended",
        /// Over: broke; `error_code` says how.
        Error = "error",
        /// Over: stopped by someone or something; `cancel` says by whom and why.
        Cancelled = "cancelled",
    }
}

impl State {
    /// Whether nothing can change it any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Error | Self::Cancelled)
    }
}

words! {
    /// How a run's tests ended.
    RunResult {
        /// Every test that counts passed.
        Passed = "passed",
        /// At least one did not.
        Failed = "failed",
    }
}

words! {
    /// How a run broke.
    ErrorCode {
        /// The branch under test could not be merged.
        MergeConflict = "merge_conflict",
        /// The runner could not be told to start.
        DispatchFailed = "dispatch_failed",
        /// The tests ran and left no report.
        ReportNotGenerated = "report_not_generated",
        /// The test command itself failed.
        RunFailedWithError = "run_failed_with_error",
        /// The machine under the runner went away, or the test command was interrupted.
        WorkerInterrupted = "worker_interrupted",
        /// The shards' reports could not be merged.
        MergeReportsFailed = "merge_reports_failed",
    }
}

words! {
    /// Where a shard is in its life, from its claim on.
    ShardState {
        /// A runner holds its lease, or has not stopped yet.
        Started = "started",
        /// Finished; `result` says how.
        Ended = "ended",
        /// Broke; `error_code` says how.
        Error = "error",
        /// Its run was cancelled, and its runner has stopped or was given up.
        Cancelled = "cancelled",
    }
}

words! {
    /// What brought a cancel about.
    Cause {
        /// Someone with a key.
        User = "user",
        /// The sweeper: a timeout passed.
        Stale = "stale",
        /// A newer run took its place.
        Superseded = "superseded",
        /// As many tests had failed as its `fail_fast` allows.
        FailFast = "fail_fast",
    }
}

words! {
    /// The two ways in which a runner finishes a run.
    Finish {
        /// The tests ran to their end, passed or failed.
        Ended = "ended",
        /// The run broke.
        Error = "error",
    }
}

words! {
    /// Whether the runners of a cancelled run, or of one of its shards, have really stopped: of a run, the worst of its shards.
    StopOutcome {
        /// No runner held any of the run.
        NeverStarted = "never_started",
        /// The runner was told, or will be at its next heartbeat.
        Stopping = "stopping",
        /// The runner confirmed: the tests ended by themselves, on SIGINT.
        Graceful = "graceful",
        /// The runner confirmed: it took SIGTERM to end them.
        Terminated = "terminated",
        /// The runner confirmed: it had to kill them.
        Killed = "killed",
        /// The lease ran out without a word.
        Lost = "lost",
    }
}

words! {
    /// How a runner confirms that it stopped.
    ConfirmedStop {
        /// The tests ended by themselves, on SIGINT.
        Graceful = "graceful",
        /// It took SIGTERM to end them.
        Terminated = "terminated",
        /// They had to be killed.
        Killed = "killed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contract() {
        let names = |states: &[State]| states.iter().map(|state| state.name()).collect::<Vec<_>>();
        assert_eq!(names(State::ALL), ["pending", "queued", "started", "ended", "error", "cancelled"]);
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).expect("a name"), state.name());
            assert_eq!(serde_json::from_value::<State>(state.name().into()).ok(), Some(*state));
        }
        assert_eq!(RunResult::Passed.name(), "passed");
        assert_eq!(ErrorCode::MergeReportsFailed.name(), "merge_reports_failed");
        assert_eq!(StopOutcome::NeverStarted.name(), "never_started");
    }
}
