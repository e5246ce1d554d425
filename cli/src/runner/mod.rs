//! `estop run`: COMMAND under supervision. Threads send events, [`supervisor::next`] decides, the loop here obeys.

pub mod ci;
pub mod finish;
mod heartbeat;
pub mod messages;
mod process_group;
pub mod registration;
mod signals;
mod start;
pub mod supervisor;

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Failure, Service};
use crate::terminal;
use finish::{Ending, Finisher};
use heartbeat::{Heart, Held};
use process_group::Family;
use start::{Start, Starter};
use supervisor::{Action, Event, Notice, Patience, Signal, State};

/// How often the supervisor looks while COMMAND is being stopped.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a heartbeat, or any request of a run, may take: the service gives up on its database after 5 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// Runs COMMAND.
///
/// # Errors
/// What kept it from being started.
pub fn run(args: &RunArgs, service: &Service) -> Result<Exit, Failure> {
    let (sender, inbox) = channel();
    signals::watch(sender.clone())
        .map_err(|error| Failure::new(Exit::CannotExecute, format!("signals cannot be caught: {error}")))?;
    let starter = Starter {
        service,
        inbox: &inbox,
        within: Duration::from_secs(args.start_within),
        required: args.require_service,
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let request = registration::request(args, &ci::context(&variables));
    let held = match starter.start(&request, registration::runner_name(args))? {
        Start::Held(held) => Some(held),
        Start::Unsupervised => None,
        Start::Never(exit) => return Ok(exit),
    };
    Ok(supervised(args, service, held, sender, &inbox))
}

fn supervised(
    args: &RunArgs,
    service: &Service,
    held: Option<Held>,
    events: Sender<Event>,
    inbox: &Receiver<Event>,
) -> Exit {
    let heart = held.clone().map(|held| Heart::start(service.clone(), held, events.clone()));
    let id = held.as_ref().map(|held| held.id);
    let (ending, state) = match Family::start(args.program(), args.arguments(), id, events) {
        Ok(family) => {
            let state = obey(State::new(args.patience()), &family, id.unwrap_or_default(), inbox);
            (Ending::of(&state), Some(state))
        }
        Err(error) => {
            let exit = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
            terminal::error(format!("{}: {error}. Check the command after --", args.program()));
            (Ending::NotStarted(exit), None)
        }
    };
    drop(heart);
    let Some(held) = held else { return ending.exit() };
    let finisher = Finisher { service, held: &held, inbox, within: Duration::from_secs(args.finish_within) };
    let why = state.as_ref().and_then(State::why);
    finisher.finish(ending, why, state.as_ref().and_then(State::stopped))
}

/// Carries out what the supervisor decides, until it is over.
fn obey(mut state: State, family: &Family, id: i64, inbox: &Receiver<Event>) -> State {
    let started = retry::now();
    loop {
        let event = if state.is_stopping() {
            inbox.recv_timeout(LOOK_EVERY)
        } else {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let event = event.unwrap_or_else(|_| Event::Tick(family.left()));
        let (after, actions) = supervisor::next(state, event, started.elapsed());
        state = after;
        for action in actions {
            match action {
                Action::Say(notice) => tell(id, &state, &notice),
                Action::Send(signal) => family.signal(signal, state.is_stopping() || signal == Signal::Kill),
                Action::Conclude => return state,
            }
        }
    }
}

fn tell(id: i64, state: &State, notice: &Notice) {
    match notice {
        Notice::ServiceDown(what) => {
            terminal::warn(format!("{what}. The tests go on; a stop reaches them once it is back"))
        }
        Notice::ServiceBack => terminal::say("the service is back"),
        Notice::Stopping => {
            if let Some(why) = state.why() {
                terminal::say(messages::why(id, why));
            }
        }
        Notice::Terminating => terminal::say("still running; sending SIGTERM"),
        Notice::Killing => terminal::say("killing it"),
    }
}

impl RunArgs {
    fn patience(&self) -> Patience {
        Patience {
            grace: self.grace.map(Duration::from_secs),
            default_grace: Duration::from_secs(10),
            kill_after: Duration::from_secs(self.kill_after),
        }
    }
}
