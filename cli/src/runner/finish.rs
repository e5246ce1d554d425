//! After COMMAND has ended: reports how, and makes the exit code agree with the record.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use estop_protocol::finish::{FinishRequest, StopReport};
use estop_protocol::run::{ConfirmedStop, ErrorCode, Finish, RunResult};

use super::delivery::{Answer, Delivery};
use super::heartbeat::HeldRun;
use super::lease::Lease;
use super::messages;
use super::supervisor::{Event, ExitStatus, State, StopReason};
use crate::exit::Exit;
use crate::retry;
use crate::service::Service;
use crate::terminal;

/// How COMMAND ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited, or was stopped by estop.
    Exited(ExitStatus),
    /// A person or the CI system interrupted it, or the end of its lease, so its tests have no result.
    Interrupted(ExitStatus),
    /// Someone else's signal killed it: a crash, or the system ran out of memory.
    Crashed(ExitStatus),
    /// It never ran.
    NotStarted(Exit),
}

impl Ending {
    pub fn of(state: &State) -> Self {
        match state.exited() {
            Some(status) if state.was_interrupted() => Self::Interrupted(status),
            // Nobody cancelled the run, and its tests have no result.
            Some(status) if matches!(state.stop_reason(), Some(StopReason::LeaseRanOut)) => Self::Interrupted(status),
            Some(status @ ExitStatus::Signal(_)) if !state.died_of_our_signal() => Self::Crashed(status),
            Some(status) => Self::Exited(status),
            None => Self::Exited(ExitStatus::Signal(9)),
        }
    }

    /// The exit code that a shell would give.
    pub fn exit(self) -> Exit {
        match self {
            Self::Exited(status) | Self::Interrupted(status) | Self::Crashed(status) => match status {
                ExitStatus::Code(code) => Exit::Command(u8::try_from(code).unwrap_or(u8::MAX)),
                ExitStatus::Signal(number) => Exit::signal(number),
            },
            Self::NotStarted(exit) => exit,
        }
    }

    /// What there is to record of test run `id`, whose shard this lease holds.
    pub fn delivery(self, id: i64, lease: &str, stop: Option<ConfirmedStop>) -> Delivery {
        Delivery::new(id, self.request(lease, stop))
    }

    fn request(self, lease: &str, stop: Option<ConfirmedStop>) -> FinishRequest {
        let (state, result, error_code) = match self {
            Self::Exited(ExitStatus::Code(0)) => (Finish::Ended, Some(RunResult::Passed), None),
            Self::Exited(_) => (Finish::Ended, Some(RunResult::Failed), None),
            Self::Interrupted(_) => (Finish::Error, None, Some(ErrorCode::WorkerInterrupted)),
            Self::Crashed(_) | Self::NotStarted(_) => (Finish::Error, None, Some(ErrorCode::RunFailedWithError)),
        };
        let stop = stop.map(|outcome| StopReport { outcome });
        let (counts, progress, failures) = (None, None, None);
        FinishRequest { lease: lease.to_owned(), state, result, error_code, counts, progress, failures, stop }
    }
}

pub struct Finisher<'a> {
    pub service: &'a Service,
    pub run: &'a HeldRun,
    /// Signals arrive here. One ends the retries.
    pub inbox: &'a Receiver<Event>,
    /// How long to retry.
    pub within: Duration,
    /// Where to leave what could not be recorded.
    pub keep_in: &'a Path,
}

/// How long the end of a run is worth waiting for: until its lease would have run out twice. After the first time the
/// sweeper has cancelled the run, and the service keeps the late result beside that.
pub fn two_leases(lease: Lease) -> Duration {
    const AT_LEAST: Duration = Duration::from_secs(30);
    lease.length().saturating_mul(2).max(AT_LEAST)
}

impl Finisher<'_> {
    /// Finishes the run. The exit code follows the record: if a cancel came before the finish, the run is cancelled,
    /// even though COMMAND passed.
    pub fn finish(
        &self,
        delivery: &Delivery,
        ending: Ending,
        reason: Option<&StopReason>,
        stop: Option<ConfirmedStop>,
    ) -> Exit {
        let id = self.run.id;
        let mut retried = false;
        let response = retry::send_with(self.service, &delivery.call(), self.within, |retry| {
            retried = true;
            if retry.attempt == 1 {
                terminal::warn(messages::finish_retries(&retry.error.message, self.within));
            }
            !matches!(self.inbox.recv_timeout(retry.delay), Ok(Event::Signal(_)))
        });
        if let (Some(_), Some(stop)) = (reason, stop) {
            terminal::info(messages::stopped(id, stop));
        }
        let exit = reason.map_or_else(|| ending.exit(), StopReason::exit);
        let answer = match response {
            Ok(response) => delivery.answer(&response),
            Err(error) => {
                delivery.leave(self.keep_in, &error.message);
                return exit;
            }
        };
        match (answer, reason) {
            (Answer::Cancelled { reason: order, message, result_kept }, _) => {
                let exit = if reason.is_some() { exit } else { self.cancelled_meanwhile(order, &message) };
                if result_kept {
                    terminal::info(messages::late_result_kept(id, &delivery.result()));
                }
                exit
            }
            (Answer::LeaseLost(message), None) => {
                let reason = StopReason::LeaseLost(message);
                terminal::info(messages::stop_reason(id, &reason));
                reason.exit()
            }
            (Answer::Recorded, _) => {
                if retried {
                    terminal::info(format!("the result of test run {id} is recorded"));
                }
                exit
            }
            (Answer::LeaseLost(_), Some(_)) => exit,
            (Answer::Refused(failure), _) => {
                delivery.leave(self.keep_in, &failure.message);
                exit
            }
        }
    }

    /// The cancel came between the last heartbeat and the finish, whose refusal tells who, when and why.
    fn cancelled_meanwhile(&self, order: Option<StopReason>, message: &str) -> Exit {
        // A service before 0.2.0 says less.
        let Some(reason) = order else {
            terminal::info(message);
            return Exit::Cancelled;
        };
        terminal::info(format!("{} The command had already ended.", messages::stop_reason(self.run.id, &reason)));
        reason.exit()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lease::ServiceTime;
    use super::super::supervisor::{Remaining, StopTimeouts, next};
    use super::*;
    use estop_protocol::time::Timestamp;
    use serde_json::{Value, json};

    fn body(ending: Ending, stop: Option<ConfirmedStop>) -> Value {
        serde_json::to_value(ending.request("l", stop)).expect("JSON")
    }

    #[test]
    fn the_request_and_the_exit_code_follow_the_commands_ending() {
        let cases = [
            (Ending::Exited(ExitStatus::Code(0)), 0, json!({"lease": "l", "state": "ended", "result": "passed"})),
            (Ending::Exited(ExitStatus::Code(3)), 3, json!({"lease": "l", "state": "ended", "result": "failed"})),
            (
                Ending::Interrupted(ExitStatus::Signal(2)),
                130,
                json!({"lease": "l", "state": "error", "error_code": "worker_interrupted"}),
            ),
            (
                Ending::Crashed(ExitStatus::Signal(11)),
                139,
                json!({"lease": "l", "state": "error", "error_code": "run_failed_with_error"}),
            ),
            (
                Ending::NotStarted(Exit::NotFound),
                127,
                json!({"lease": "l", "state": "error", "error_code": "run_failed_with_error"}),
            ),
        ];
        for (ending, code, request) in cases {
            assert_eq!((ending.exit().code(), body(ending, None)), (code, request), "{ending:?}");
        }
    }

    /// A lease of so many seconds, claimed at 0 s.
    fn lease(seconds: i64) -> Lease {
        let service = ServiceTime { date: None, counted: Timestamp(0) };
        Lease::claimed(Timestamp(seconds * 1000), Duration::ZERO, service)
    }

    #[test]
    fn a_result_is_sent_for_two_leases_and_at_least_thirty_seconds() {
        for (length, within) in [(120, 240), (16, 32), (2, 30), (-5, 30)] {
            assert_eq!(two_leases(lease(length)), Duration::from_secs(within), "{length}");
        }
        // Not for less because it was renewed lately, or for more.
        let renewed = lease(120).after_heartbeat(Timestamp(181_000), Duration::from_secs(61));
        assert_eq!(two_leases(renewed), Duration::from_secs(240));
    }

    #[test]
    fn tests_that_a_lease_cut_short_have_no_result() {
        let timeouts = StopTimeouts { grace: None, default_grace: Duration::ZERO, kill_after: Duration::ZERO };
        let at = Duration::from_secs;
        let (state, _) = next(State::new(timeouts, Some(lease(1))), Event::Tick(Remaining::Group), at(1));
        let (state, _) = next(state, Event::Exited(ExitStatus::Code(0)), at(2));
        assert_eq!(Ending::of(&state), Ending::Interrupted(ExitStatus::Code(0)));
    }

    #[test]
    fn a_stop_is_reported_with_its_outcome() {
        let ending = Ending::Exited(ExitStatus::Code(0));
        assert_eq!(body(ending, Some(ConfirmedStop::Killed))["stop"], json!({"outcome": "killed"}));
        assert_eq!(body(ending, Some(ConfirmedStop::Terminated))["stop"], json!({"outcome": "terminated"}));
        assert_eq!(body(ending, Some(ConfirmedStop::Graceful))["stop"], json!({"outcome": "graceful"}));
    }
}
