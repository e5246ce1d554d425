//! `estop wait`.

use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::run::{RunResult, State};
use estop_protocol::show::{Shown, TestRun};

use crate::args::WaitArgs;
use crate::clock;
use crate::exit::Exit;
use crate::retry;
use crate::runner::messages;
use crate::service::{Call, Failure, Service};
use crate::terminal;

const POLL_INTERVAL: Duration = Duration::from_secs(2);

pub fn wait(args: &WaitArgs, service: &Service) -> Result<Exit, Failure> {
    let started = clock::now();
    let timeout = args.timeout.map_or(Duration::MAX, Duration::from_secs);
    let call = Call::new("GET", format!("/api/test-runs/{}", args.id));
    loop {
        let left = timeout.saturating_sub(clock::since(started));
        let response = retry::send_with(service, &call, left, |retry| {
            if retry.attempt == 1 {
                terminal::warn(format!("{}; still waiting", retry.error));
            }
            thread::sleep(retry.delay);
            true
        })?;
        let run = response.read::<Data<Shown>>()?.data.test_run;
        if let Some(exit) = exit_once_over(&run) {
            terminal::print(messages::ended(&run));
            return Ok(exit);
        }
        let left = timeout.saturating_sub(clock::since(started));
        if left.is_zero() {
            let message = format!("timed out: test run {} is still {}", run.id, run.state.name());
            return Err(Failure::new(Exit::Timeout, message));
        }
        thread::sleep(POLL_INTERVAL.min(left));
    }
}

fn exit_once_over(run: &TestRun) -> Option<Exit> {
    match (run.state, run.result) {
        (State::Ended, Some(RunResult::Passed)) => Some(Exit::Done),
        (State::Ended | State::Error, _) => Some(Exit::Failed),
        (State::Cancelled, _) => Some(Exit::Cancelled),
        (State::Pending | State::Queued | State::Started, _) => None,
    }
}
