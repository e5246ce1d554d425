//! `estop wait`.

use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::run::{RunResult, State, StopOutcome};
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
    let timeout = args.timeout.map(Duration::from_secs);
    let run = poll(args.id, timeout, service, |run| {
        exit_once_over(run)?;
        (!args.stopped || !is_stopping(run)).then_some(())
    })?;
    terminal::print(messages::ended(&run));
    if args.stopped && run.stop.is_some() {
        return Ok(stopped(&run, Exit::Cancelled));
    }
    Ok(exit_once_over(&run).unwrap_or(Exit::Failed))
}

/// Waits until a cancelled run's runner has stopped, and says how that went; `done` is the exit code if it has.
pub fn until_stopped(id: i64, timeout: Option<u64>, done: Exit, service: &Service) -> Result<Exit, Failure> {
    let run = poll(id, timeout.map(Duration::from_secs), service, |run| (!is_stopping(run)).then_some(()))?;
    Ok(if run.stop.is_some() { stopped(&run, done) } else { done })
}

/// Asks for a run again and again, until `enough` of it has come to pass or the time is up.
fn poll(
    id: i64,
    timeout: Option<Duration>,
    service: &Service,
    enough: impl Fn(&TestRun) -> Option<()>,
) -> Result<TestRun, Failure> {
    let started = clock::now();
    let timeout = timeout.unwrap_or(Duration::MAX);
    let call = Call::new("GET", format!("/api/test-runs/{id}"));
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
        if enough(&run).is_some() {
            return Ok(run);
        }
        let left = timeout.saturating_sub(clock::since(started));
        if left.is_zero() {
            let state =
                if is_stopping(&run) { "cancelled, and its runner is still stopping" } else { run.state.name() };
            return Err(Failure::new(Exit::Timeout, format!("timed out: test run {id} is {state}")));
        }
        thread::sleep(POLL_INTERVAL.min(left));
    }
}

fn is_stopping(run: &TestRun) -> bool {
    run.stop.as_ref().is_some_and(|stop| stop.outcome == StopOutcome::Stopping)
}

/// Says how a stop went; `done` is the exit code unless nobody knows.
fn stopped(run: &TestRun, done: Exit) -> Exit {
    terminal::print(messages::how_it_stopped(run));
    if run.stop.as_ref().is_some_and(|stop| stop.outcome == StopOutcome::Lost) { Exit::Fenced } else { done }
}

fn exit_once_over(run: &TestRun) -> Option<Exit> {
    match (run.state, run.result) {
        (State::Ended, Some(RunResult::Passed)) => Some(Exit::Done),
        (State::Ended | State::Error, _) => Some(Exit::Failed),
        (State::Cancelled, _) => Some(Exit::Cancelled),
        (State::Pending | State::Queued | State::Started, _) => None,
    }
}
