//! After COMMAND's end: tells the service how it went, and agrees with the record on what that was.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use estop_protocol::finish::{FinishRequest, StopReport};
use estop_protocol::run::{ConfirmedStop, ErrorCode, Finish, RunResult};

use super::heartbeat::{self, Held};
use super::messages;
use super::supervisor::{Beat, Event, Exited, State, Why};
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Service};
use crate::terminal;

/// How COMMAND ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited, or was stopped.
    Exited(Exited),
    /// Someone, or the CI system, interrupted it: no result of its tests.
    Interrupted(Exited),
    /// A signal from elsewhere killed it: a crash, or the system was out of memory.
    Crashed(Exited),
    /// It never ran.
    NotStarted(Exit),
}

impl Ending {
    /// How it ended, by the supervisor's state.
    pub fn of(state: &State) -> Self {
        match state.exited() {
            Some(exited) if state.was_interrupted() => Self::Interrupted(exited),
            Some(exited @ Exited::Signal(_)) if !state.died_of_ours() => Self::Crashed(exited),
            Some(exited) => Self::Exited(exited),
            None => Self::Exited(Exited::Signal(9)),
        }
    }

    /// The exit code, as a shell would give it.
    pub fn exit(self) -> Exit {
        match self {
            Self::Exited(exited) | Self::Interrupted(exited) | Self::Crashed(exited) => match exited {
                Exited::Code(code) => Exit::Command(u8::try_from(code).unwrap_or(u8::MAX)),
                Exited::Signal(number) => Exit::signal(number),
            },
            Self::NotStarted(exit) => exit,
        }
    }

    pub fn request(self, lease: &str, stopped: Option<ConfirmedStop>) -> FinishRequest {
        let (state, result, error_code) = match self {
            Self::Exited(Exited::Code(0)) => (Finish::Ended, Some(RunResult::Passed), None),
            Self::Exited(_) => (Finish::Ended, Some(RunResult::Failed), None),
            Self::Interrupted(_) => (Finish::Error, None, Some(ErrorCode::WorkerInterrupted)),
            Self::Crashed(_) | Self::NotStarted(_) => (Finish::Error, None, Some(ErrorCode::RunFailedWithError)),
        };
        let stop = stopped.map(|outcome| StopReport { outcome });
        FinishRequest { lease: lease.to_owned(), state, result, error_code, counts: None, stop }
    }
}

/// A run to be finished.
pub struct Finisher<'a> {
    /// The service.
    pub service: &'a Service,
    /// The run.
    pub held: &'a Held,
    /// Signals come through it: one ends the retries.
    pub inbox: &'a Receiver<Event>,
    /// How long to try.
    pub within: Duration,
}

impl Finisher<'_> {
    /// Finishes the run. The exit code follows the record: a cancel that came before the finish makes the run cancelled,
    /// even if COMMAND passed.
    pub fn finish(&self, ending: Ending, why: Option<&Why>, stopped: Option<ConfirmedStop>) -> Exit {
        let id = self.held.id;
        let call = Call::new("POST", format!("/api/test-runs/{id}/finish"))
            .with_body(&ending.request(&self.held.lease, stopped))
            .repeatable();
        let mut warned = false;
        let answer = retry::send(self.service, &call, self.within, |wait, trouble| {
            if !std::mem::replace(&mut warned, true) {
                let seconds = self.within.as_secs();
                terminal::warn(format!("{}; the result is sent again for up to {seconds} s", trouble.what));
            }
            !matches!(self.inbox.recv_timeout(wait), Ok(Event::Signal(_)))
        });
        if let (Some(_), Some(stopped)) = (why, stopped) {
            terminal::say(messages::stopped(id, stopped));
        }
        let otherwise = why.map_or_else(|| ending.exit(), Why::exit);
        let answer = match answer {
            Ok(answer) => answer,
            Err(trouble) => {
                terminal::warn(format!("{}. The result of test run {id} could not be recorded", trouble.what));
                return otherwise;
            }
        };
        match (answer.status, why) {
            (200, _) | (409 | 412, Some(_)) => otherwise,
            (412, None) => self.learn_why(&answer.message().unwrap_or_default()),
            (409, None) => {
                let why = Why::Lost(answer.message().unwrap_or_default());
                terminal::say(messages::why(id, &why));
                why.exit()
            }
            _ => {
                terminal::warn(format!("the result of test run {id} could not be recorded: {}", answer.refusal().line));
                otherwise
            }
        }
    }

    /// The cancel came between the last heartbeat and the finish: one more heartbeat says who, why and when.
    fn learn_why(&self, said: &str) -> Exit {
        let beat = heartbeat::once(self.service, self.held).or_else(|_| heartbeat::once(self.service, self.held));
        match beat {
            Ok(Beat::Stop(order)) => {
                let why = Why::Order(order);
                terminal::say(format!("{} The command had ended by itself.", messages::why(self.held.id, &why)));
                why.exit()
            }
            _ => {
                terminal::say(said);
                Exit::Cancelled
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(ending: Ending, stopped: Option<ConfirmedStop>) -> Value {
        serde_json::to_value(ending.request("l", stopped)).expect("JSON")
    }

    #[test]
    fn the_report_and_the_exit_code_follow_the_commands_end() {
        let cases = [
            (Ending::Exited(Exited::Code(0)), 0, json!({"lease": "l", "state": "ended", "result": "passed"})),
            (Ending::Exited(Exited::Code(3)), 3, json!({"lease": "l", "state": "ended", "result": "failed"})),
            (
                Ending::Interrupted(Exited::Signal(2)),
                130,
                json!({"lease": "l", "state": "error", "error_code": "worker_interrupted"}),
            ),
            (
                Ending::Crashed(Exited::Signal(11)),
                139,
                json!({"lease": "l", "state": "error", "error_code": "run_failed_with_error"}),
            ),
            (
                Ending::NotStarted(Exit::NotFound),
                127,
                json!({"lease": "l", "state": "error", "error_code": "run_failed_with_error"}),
            ),
        ];
        for (ending, code, report) in cases {
            assert_eq!((ending.exit().code(), body(ending, None)), (code, report), "{ending:?}");
        }
    }

    #[test]
    fn a_stop_is_reported_with_its_outcome() {
        let ending = Ending::Exited(Exited::Code(0));
        assert_eq!(body(ending, Some(ConfirmedStop::Killed))["stop"], json!({"outcome": "killed"}));
        assert_eq!(body(ending, Some(ConfirmedStop::Graceful))["stop"], json!({"outcome": "graceful"}));
    }
}
