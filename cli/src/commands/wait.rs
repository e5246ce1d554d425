//! `estop wait`.

use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::run::{RunResult, State};
use estop_protocol::show::{Shown, TestRun};

use crate::args::WaitArgs;
use crate::exit::Exit;
use crate::retry;
use crate::runner::messages;
use crate::service::{Call, Failure, Service};
use crate::terminal;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Waits until a run is over.
///
/// # Errors
/// What the service refused, or that the time was up.
pub fn wait(args: &WaitArgs, service: &Service) -> Result<Exit, Failure> {
    let started = retry::now();
    let within = args.timeout.map_or(Duration::MAX, Duration::from_secs);
    let call = Call::new("GET", format!("/api/test-runs/{}", args.id));
    loop {
        let mut warned = false;
        let left = within.saturating_sub(started.elapsed());
        let answer = retry::send(service, &call, left, |wait, trouble| {
            if !std::mem::replace(&mut warned, true) {
                terminal::warn(format!("{}; still waiting", trouble.what));
            }
            std::thread::sleep(wait);
            true
        })?;
        let run = answer.read::<Data<Shown>>()?.data.test_run;
        if let Some(exit) = verdict(&run) {
            terminal::print(messages::finished(&run));
            return Ok(exit);
        }
        let left = within.saturating_sub(started.elapsed());
        if left.is_zero() {
            let line = format!("test run {} is still {} and the time is up", run.id, run.state.name());
            return Err(Failure::new(Exit::Timeout, line));
        }
        std::thread::sleep(LOOK_EVERY.min(left));
    }
}

fn verdict(run: &TestRun) -> Option<Exit> {
    match (run.state, run.result) {
        (State::Ended, Some(RunResult::Passed)) => Some(Exit::Done),
        (State::Ended | State::Error, _) => Some(Exit::Failed),
        (State::Cancelled, _) => Some(Exit::Cancelled),
        (State::Pending | State::Queued | State::Started, _) => None,
    }
}
