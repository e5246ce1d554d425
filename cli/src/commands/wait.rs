//! `estop wait`, and the wait of `estop cancel --wait`.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::run::{RunResult, State, StopOutcome};
use estop_protocol::show::{Shown, TestRun};

use crate::args::{CancelArgs, WaitArgs};
use crate::clock;
use crate::exit::Exit;
use crate::push::{Credential, Line};
use crate::retry;
use crate::runner::messages;
use crate::service::{Call, Failure, Response, Service};
use crate::terminal::{self, sanitize_json};

/// How long to go without asking, at first and in the long run; jitter adds up to as much again.
const POLL_DELAYS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(1500));

/// The same while a line is open on which the service tells that something has changed.
const WATCHED_DELAY: Duration = Duration::from_secs(30);

pub fn wait(args: &WaitArgs, service: &Service) -> Result<Exit, Failure> {
    let enough = |run: &TestRun| exit_once_over(run).is_some() && !(args.stopped && is_stopping(run));
    let (_, run) = poll(args.id, args.timeout.unwrap_or(Duration::MAX), args.push.is_on(), service, enough)?;
    terminal::print(messages::ended(&run));
    let exit = exit_once_over(&run).unwrap_or(Exit::Failed);
    if !args.stopped || run.stop.is_none() {
        return Ok(exit);
    }
    terminal::print(messages::how_it_stopped(&run));
    Ok(unless_lost(&run, exit))
}

/// Waits until a run that is over is not stopping any more, and says how its stop went. `exit` is how estop ends unless
/// nobody knows whether the tests have stopped.
pub fn until_stopped(args: &CancelArgs, id: i64, exit: Exit, service: &Service) -> Result<Exit, Failure> {
    let (response, run) = poll(id, args.timeout, args.push.is_on(), service, |run| !is_stopping(run))?;
    if args.json {
        terminal::print(sanitize_json(&response.text));
    } else if run.stop.is_some() {
        terminal::print(messages::how_it_stopped(&run));
    }
    Ok(unless_lost(&run, exit))
}

/// Asks for a run again and again, until that is `enough` or the time is up. With `push` the service tells when.
fn poll(
    id: i64,
    timeout: Duration,
    push: bool,
    service: &Service,
    enough: impl Fn(&TestRun) -> bool,
) -> Result<(Response, TestRun), Failure> {
    let started = clock::now();
    let left = || timeout.saturating_sub(clock::since(started));
    let path = format!("/api/test-runs/{id}");
    let call = Call::new("GET", path.as_str());
    let mut delays = retry::backoff(POLL_DELAYS.0, POLL_DELAYS.1);
    let (news, inbox) = channel();
    let mut line: Option<Line> = None;
    loop {
        let response = retry::send_with(service, &call, left(), |retry| {
            if retry.attempt == 1 {
                terminal::warn(format!("{}; still waiting", retry.error));
            }
            thread::sleep(retry.delay);
            true
        })?;
        let run = response.read::<Data<Shown>>()?.data.test_run;
        if enough(&run) {
            return Ok((response, run));
        }
        if left().is_zero() {
            return Err(Failure::new(Exit::Timeout, messages::timed_out(&run)));
        }
        if push && line.is_none() {
            let news = news.clone();
            line = Some(Line::open(service, format!("{path}/watch"), Credential::Key, move |_| {
                let _ = news.send(());
            }));
        }
        let delay = match &line {
            Some(line) if line.is_open() => WATCHED_DELAY,
            _ => delays.next().unwrap_or(POLL_DELAYS.1),
        };
        // Whatever happens to the line or comes on it is a reason to ask again, once.
        let _ = inbox.recv_timeout(delay.min(left()));
        while inbox.try_recv().is_ok() {}
    }
}

/// Whether its runner has not confirmed yet that the tests have stopped.
pub fn is_stopping(run: &TestRun) -> bool {
    outcome(run) == Some(StopOutcome::Stopping)
}

/// How estop ends for a run that is over, unless nobody knows whether its tests have stopped.
pub fn unless_lost(run: &TestRun, exit: Exit) -> Exit {
    if outcome(run) == Some(StopOutcome::Lost) { Exit::Fenced } else { exit }
}

fn outcome(run: &TestRun) -> Option<StopOutcome> {
    run.stop.as_ref().map(|stop| stop.outcome)
}

/// How estop ends for a run that is over; `None` for one that is not.
pub fn exit_once_over(run: &TestRun) -> Option<Exit> {
    match (run.state, run.result) {
        (State::Ended, Some(RunResult::Passed)) => Some(Exit::Done),
        (State::Ended | State::Error, _) => Some(Exit::Failed),
        (State::Cancelled, _) => Some(Exit::Cancelled),
        (State::Pending | State::Queued | State::Started, _) => None,
    }
}
