//! `estop run`: COMMAND under supervision. Threads send events, [`supervisor::next`] decides, and the loop here carries
//! out what it decides.

mod ci;
pub mod delivery;
mod finish;
mod heartbeat;
mod lease;
pub mod messages;
mod process_group;
mod registration;
mod signals;
mod start;
mod supervisor;

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::args::RunArgs;
use crate::clock;
use crate::exit::Exit;
use crate::service::{Failure, Service};
use crate::terminal;
use finish::{Ending, Finisher};
use heartbeat::{Heartbeats, HeldRun};
use lease::Lease;
use process_group::ProcessGroup;
use start::{Start, Starter};
use supervisor::{Action, Event, Notice, Signal, State, StopTimeouts};

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
        required_by: args.requires_service(),
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let (registration, shard) = registration::request(args, &ci::context(&variables))?;
    match starter.start(&registration, shard, registration::runner_name(args))? {
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
    let (within, keep_in) = (args.finish_within.map(Duration::from_secs), args.finish_file.as_deref());
    let finisher = Finisher { service, run, inbox, within, keep_in };
    // The answer to the claim was long in coming, or the machine was asleep.
    if args.exclusive && run.lease.until() <= clock::now() {
        terminal::error(messages::ran_out_before_start(run.id));
        return finisher.finish(Ending::NotStarted(Exit::Fenced), None, None);
    }
    let heartbeats = Heartbeats::start(service.clone(), run.clone(), events.clone());
    let ended = run_command(args, Some(run), events, inbox);
    drop(heartbeats);
    let state = ended.state.as_ref();
    finisher.finish(ended.ending, state.and_then(State::stop_reason), state.and_then(State::confirmed_stop))
}

struct Ended {
    ending: Ending,
    /// `None` if COMMAND could not be started.
    state: Option<State>,
}

fn run_command(args: &RunArgs, run: Option<&HeldRun>, events: Sender<Event>, inbox: &Receiver<Event>) -> Ended {
    let id = run.map(|run| run.id);
    match ProcessGroup::start(args.program(), args.arguments(), &environment(args, id), events) {
        Ok(group) => {
            let lease: Option<Lease> = run.filter(|_| args.exclusive).map(|run| run.lease);
            let state = supervise(State::new(args.stop_timeouts(), lease), &group, id.unwrap_or_default(), inbox);
            Ended { ending: Ending::of(&state), state: Some(state) }
        }
        Err(error) => {
            let exit = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
            terminal::error(format!("{}: {error}. Check the command after --", args.program()));
            Ended { ending: Ending::NotStarted(exit), state: None }
        }
    }
}

/// What COMMAND's environment has otherwise than estop's. It gets no secrets: tests run other people's code, and whoever
/// reads their logs could stop every run.
fn environment(args: &RunArgs, id: Option<i64>) -> Vec<(&'static str, Option<String>)> {
    let mut changes = vec![("ESTOP_ADMIN_TOKEN", None)];
    if !args.pass_key {
        changes.push(("ESTOP_KEY", None));
    }
    if let Some(id) = id {
        changes.push(("ESTOP_RUN_ID", Some(id.to_string())));
    }
    changes
}

fn supervise(mut state: State, group: &ProcessGroup, id: i64, inbox: &Receiver<Event>) -> State {
    loop {
        let event = match state.next_tick(clock::now()) {
            Some(timeout) => inbox.recv_timeout(timeout).ok(),
            None => inbox.recv().ok(),
        };
        let event = event.unwrap_or_else(|| Event::Tick(group.remaining()));
        let (after, actions) = supervisor::next(state, event, clock::now());
        state = after;
        for action in actions {
            match action {
                Action::Report(notice) => report(id, &state, &notice),
                Action::Send(signal) => group.signal(signal, state.is_stopping() || signal == Signal::Kill),
                Action::Finish => return state,
            }
        }
    }
}

fn report(id: i64, state: &State, notice: &Notice) {
    match notice {
        Notice::ServiceDown(message) => {
            terminal::warn(messages::service_down(message, state.lease_left(clock::now())));
        }
        Notice::ServiceBack => terminal::info("the service is back"),
        Notice::Stopping => {
            if let Some(reason) = state.stop_reason() {
                terminal::info(messages::stop_reason(id, reason));
            }
        }
        Notice::Terminating => terminal::info("still running; sending SIGTERM"),
        Notice::Killing => terminal::info("sending SIGKILL"),
    }
}

impl RunArgs {
    /// The flag because of which COMMAND must not start without the service, if there is one.
    fn requires_service(&self) -> Option<&'static str> {
        match (self.exclusive, self.require_service) {
            (true, _) => Some("--exclusive"),
            (_, true) => Some("--require-service"),
            _ => None,
        }
    }

    fn stop_timeouts(&self) -> StopTimeouts {
        StopTimeouts {
            grace: self.grace.map(Duration::from_secs),
            default_grace: Duration::from_secs(10),
            kill_after: Duration::from_secs(self.kill_after),
        }
    }
}
