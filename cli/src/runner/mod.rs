//! `estop run`: COMMAND under supervision. Threads send events, [`supervisor::next`] decides, and the loop here carries
//! out what it decides.

mod ci;
mod finish;
mod heartbeat;
pub mod messages;
mod process_group;
mod registration;
mod signals;
mod start;
mod supervisor;

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Failure, Service};
use crate::terminal;
use finish::{Ending, Finisher};
use heartbeat::{Heartbeats, HeldRun};
use process_group::ProcessGroup;
use start::{Start, Starter};
use supervisor::{Action, Event, Notice, Signal, State, StopReason, StopTimeouts};

/// How often to check which processes are left while COMMAND is being stopped.
const TICK: Duration = Duration::from_millis(50);

/// How long a request of `estop run` may take. The service gives up on its database after 5 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

pub fn run(args: &RunArgs, service: &Service) -> Result<Exit, Failure> {
    let (events, inbox) = channel();
    signals::watch(events.clone())
        .map_err(|error| Failure::new(Exit::CannotExecute, format!("cannot catch signals: {error}")))?;
    let starter = Starter {
        service,
        inbox: &inbox,
        within: Duration::from_secs(args.start_within),
        required: args.require_service,
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let registration = registration::request(args, &ci::context(&variables));
    match starter.start(&registration, registration::runner_name(args))? {
        Start::Claimed(run) => Ok(run_claimed(args, service, &run, events, &inbox)),
        Start::Unsupervised => Ok(run_command(args, None, events, &inbox).ending.exit()),
        Start::Never(exit) => Ok(exit),
    }
}

fn run_claimed(
    args: &RunArgs,
    service: &Service,
    run: &HeldRun,
    events: Sender<Event>,
    inbox: &Receiver<Event>,
) -> Exit {
    let heartbeats = Heartbeats::start(service.clone(), run.clone(), events.clone());
    let ended = run_command(args, Some(run.id), events, inbox);
    drop(heartbeats);
    let finisher = Finisher { service, run, inbox, within: Duration::from_secs(args.finish_within) };
    let state = ended.state.as_ref();
    finisher.finish(ended.ending, state.and_then(State::stop_reason), state.and_then(State::confirmed_stop))
}

struct Ended {
    ending: Ending,
    /// `None` if COMMAND could not be started.
    state: Option<State>,
}

fn run_command(args: &RunArgs, id: Option<i64>, events: Sender<Event>, inbox: &Receiver<Event>) -> Ended {
    match ProcessGroup::start(args.program(), args.arguments(), id, events) {
        Ok(group) => {
            let state = supervise(State::new(args.stop_timeouts()), &group, id.unwrap_or_default(), inbox);
            Ended { ending: Ending::of(&state), state: Some(state) }
        }
        Err(error) => {
            let exit = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
            terminal::error(format!("{}: {error}. Check the command after --", args.program()));
            Ended { ending: Ending::NotStarted(exit), state: None }
        }
    }
}

fn supervise(mut state: State, group: &ProcessGroup, id: i64, inbox: &Receiver<Event>) -> State {
    let started = retry::now();
    loop {
        let event = if state.is_stopping() {
            inbox.recv_timeout(TICK)
        } else {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let event = event.unwrap_or_else(|_| Event::Tick(group.remaining()));
        let (after, actions) = supervisor::next(state, event, started.elapsed());
        state = after;
        for action in actions {
            match action {
                Action::Report(notice) => report(id, state.stop_reason(), &notice),
                Action::Send(signal) => group.signal(signal, state.is_stopping() || signal == Signal::Kill),
                Action::Finish => return state,
            }
        }
    }
}

fn report(id: i64, stop_reason: Option<&StopReason>, notice: &Notice) {
    match notice {
        Notice::ServiceDown(message) => {
            terminal::warn(format!("{message}. The tests go on; a cancel reaches them once the service is back"));
        }
        Notice::ServiceBack => terminal::info("the service is back"),
        Notice::Stopping => {
            if let Some(reason) = stop_reason {
                terminal::info(messages::stop_reason(id, reason));
            }
        }
        Notice::Terminating => terminal::info("still running; sending SIGTERM"),
        Notice::Killing => terminal::info("sending SIGKILL"),
    }
}

impl RunArgs {
    fn stop_timeouts(&self) -> StopTimeouts {
        StopTimeouts {
            grace: self.grace.map(Duration::from_secs),
            default_grace: Duration::from_secs(10),
            kill_after: Duration::from_secs(self.kill_after),
        }
    }
}
