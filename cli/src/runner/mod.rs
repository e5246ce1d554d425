//! `estop run`: COMMAND under supervision. Threads send events, [`supervisor::next`] decides, and the loop here carries
//! out what it decides.

mod children;
pub mod ci;
pub mod delivery;
mod environment;
mod finish;
mod fuse;
mod guard;
mod heartbeat;
mod lease;
pub mod messages;
mod npm;
mod on_stop;
mod process_group;
mod process_table;
mod progress;
mod registration;
mod rhythm;
mod self_check;
mod signals;
mod start;
mod supervisor;
mod teller;

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use estop_protocol::time::Timestamp;

use crate::args::RunArgs;
use crate::clock;
use crate::exit::Exit;
use crate::service::{Failure, Service};
use crate::terminal;
use children::Children;
use environment::Environment;
use finish::{Ending, Finisher};
use guard::Watch;
use guard::keeper::Keeper;
pub use guard::process::guard;
use heartbeat::{Heartbeats, HeldRun};
use lease::Lease;
use on_stop::OnStop;
use process_group::ProcessGroup;
use progress::{Exchange, Told};
pub use self_check::{Reach, reach};
use start::{Start, Starter};
use supervisor::{Action, ChildStatus, Event, Notice, Signal, State, StopReason, StopTimeouts};

/// How long a request of `estop run` may take. The service gives up on its database after 5 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

pub fn run(args: &RunArgs, service: &Service) -> Result<Exit, Failure> {
    let (events, inbox) = channel();
    let heard = signals::watch(events.clone())
        .map_err(|error| Failure::new(Exit::CannotExecute, format!("cannot catch signals: {error}")))?;
    npm::end_with_what_started_estop(heard);
    let starter = Starter {
        service,
        events: &events,
        inbox: &inbox,
        push: args.push.is_on(),
        within: Duration::from_secs(args.start_within),
        required_by: args.requires_service(),
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let (registration, shard) = registration::request(args, &ci::context_of_job(&variables))?;
    match starter.start(&registration, shard, registration::runner_name(args))? {
        Start::Claimed(run) => Ok(run_claimed(args, service, &run, events, &inbox)),
        Start::Unsupervised => Ok(run_unclaimed(args, service, events, &inbox)),
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
    let (within, keep_in) = (args.finish_within(run), args.keep_in());
    let finisher = Finisher { service, run, inbox, within, keep_in };
    // The answer to the claim was long in coming, or the machine was asleep.
    if args.exclusive && run.lease.until() <= clock::now() {
        terminal::error(messages::ran_out_before_start(run.id));
        let ending = Ending::NotStarted(Exit::Fenced);
        return finisher.finish(&ending.delivery(run.id, &run.token, None), ending, None, None);
    }
    let exchange = Exchange::new().map(Arc::new).inspect_err(|error| terminal::warn(messages::no_exchange(error))).ok();
    let started = clock::date();
    let heartbeats = Heartbeats::start(
        service.clone(),
        run.clone(),
        args.push.is_on(),
        exchange.clone(),
        args.fail_fast.is_some(),
        events.clone(),
    );
    let exchange = exchange.as_deref();
    let children = Children::new(events);
    let mut keeper = Keeper::start(&children, service.address(), args.watch(Some(run), exchange));
    let held = Held { run, heartbeats: &heartbeats, exchange };
    let ended = run_command(args, Some(&held), &children, &mut keeper, inbox);
    let state = ended.state.as_ref();
    if let (Some(on_stop), Some(StopReason::Ordered(order))) =
        (args.on_stop(Environment::new(args, Some(run.id), keeper.mark(), exchange)), state.and_then(State::stop_reason))
        // Once the lease is lost, another run's data may be there.
        && !order.lease_lost
    {
        on_stop.run(order, &children, inbox, |event| keeper.replaces_guard(event));
    }
    drop(heartbeats);
    let told = args.reported(exchange.map(Exchange::last_look).unwrap_or_default(), started);
    let (reason, stop) = (state.and_then(State::stop_reason), state.and_then(State::confirmed_stop));
    let delivery = ended.ending.delivery(run.id, &run.token, stop).with_tests(&told);
    keeper.finishing(&delivery);
    exchange.into_iter().for_each(Exchange::remove);
    let exit = finisher.finish(&delivery, ended.ending, reason, stop);
    keeper.dismiss(inbox);
    exit
}

/// Without the service.
fn run_unclaimed(args: &RunArgs, service: &Service, events: Sender<Event>, inbox: &Receiver<Event>) -> Exit {
    let children = Children::new(events);
    let mut keeper = Keeper::start(&children, service.address(), args.watch(None, None));
    let ended = run_command(args, None, &children, &mut keeper, inbox);
    keeper.dismiss(inbox);
    ended.ending.exit()
}

struct Ended {
    ending: Ending,
    /// `None` if COMMAND could not be started.
    state: Option<State>,
}

/// A run that is ours, and the ways to tell of it.
struct Held<'a> {
    run: &'a HeldRun,
    heartbeats: &'a Heartbeats,
    exchange: Option<&'a Exchange>,
}

fn run_command(
    args: &RunArgs,
    held: Option<&Held>,
    children: &Children,
    keeper: &mut Keeper,
    inbox: &Receiver<Event>,
) -> Ended {
    let id = held.map(|held| held.run.id);
    let exchange = held.and_then(|held| held.exchange);
    let mut command = Command::new(args.program());
    command.args(args.arguments());
    Environment::new(args, id, keeper.mark(), exchange).apply_to(&mut command);
    match ProcessGroup::start(&mut command, keeper.mark(), keeper.fuse(), children) {
        Ok(mut group) => {
            keeper.command_started(group.id());
            group.set_guard(keeper.guard());
            let lease: Option<Lease> = held.filter(|_| args.exclusive).map(|held| held.run.lease);
            let state = State::new(args.stop_timeouts(), lease);
            let state = supervise(state, &mut group, keeper, held, inbox);
            Ended { ending: Ending::of(&state), state: Some(state) }
        }
        Err(error) => {
            let exit = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
            terminal::error(format!("{}: {error}. Check the command after --", args.program()));
            Ended { ending: Ending::NotStarted(exit), state: None }
        }
    }
}

fn supervise(
    mut state: State,
    group: &mut ProcessGroup,
    keeper: &mut Keeper,
    held: Option<&Held>,
    inbox: &Receiver<Event>,
) -> State {
    let id = held.map_or(0, |held| held.run.id);
    let mut told = None;
    loop {
        let event = match state.next_tick(clock::now()) {
            Some(timeout) => inbox.recv_timeout(timeout).ok(),
            None => inbox.recv().ok(),
        };
        let event = event.unwrap_or_else(|| Event::Tick(group.remaining()));
        if keeper.replaces_guard(&event) {
            group.set_guard(keeper.guard());
        }
        let event = match event {
            Event::Child(pid, ChildStatus::Exited(status)) if pid == group.id() => Event::Exited(status),
            Event::Child(pid, ChildStatus::Stopped(signal))
                if pid == group.id() && !group.hand_over_terminal(signal) =>
            {
                Event::Suspended
            }
            event => event,
        };
        let (after, actions) = supervisor::next(state, event, clock::now());
        state = after;
        for action in actions {
            // SIGKILL is sent again and again while processes are left.
            if let Some(step) = state.step(&action).filter(|step| told != Some(*step)) {
                told = Some(step);
                held.into_iter().for_each(|held| held.heartbeats.tell(step));
            }
            match action {
                Action::Report(Notice::Stopping) => {
                    report(id, &state, &Notice::Stopping);
                    say_why(held.and_then(|held| held.exchange), &state);
                }
                Action::Report(notice) => report(id, &state, &notice),
                Action::Send(signal) => group.signal(signal, state.is_stopping() || signal == Signal::Kill),
                Action::Suspend => group.suspend(),
                Action::Resume => group.resume(),
                Action::Finish => return state,
            }
        }
    }
}

/// Says COMMAND why it is about to be stopped, if somebody or something cancelled the run.
fn say_why(exchange: Option<&Exchange>, state: &State) {
    if let (Some(exchange), Some(StopReason::Ordered(order))) = (exchange, state.stop_reason())
        && let Err(error) = exchange.stopping(order)
    {
        terminal::warn(messages::no_exchange(&error));
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
        Notice::Terminating => terminal::info(messages::TERMINATING),
        Notice::Killing => terminal::info(messages::KILLING),
        Notice::Suspended => terminal::info(messages::suspended(rustix::process::getpid().as_raw_pid())),
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

    fn on_stop(&self, environment: Environment) -> Option<OnStop<'_>> {
        let within = Duration::from_secs(self.on_stop_timeout);
        self.on_stop.as_deref().map(|command| OnStop { command, within, environment })
    }

    /// What COMMAND has told of its tests or, if that is nothing, its reports.
    fn reported(&self, told: Told, started: Timestamp) -> Told {
        if self.junit.is_empty() || told.progress().is_some() {
            return told;
        }
        let (counted, problems) = progress::junit::count(&self.junit, started);
        problems.iter().for_each(terminal::warn);
        counted
    }

    /// How long the end of the run is tried to be recorded.
    fn finish_within(&self, run: &HeldRun) -> Duration {
        self.finish_within.map_or_else(|| finish::two_leases(run.lease), Duration::from_secs)
    }

    /// Where to leave a result that could not be recorded.
    fn keep_in(&self) -> &Path {
        self.finish_file.as_deref().unwrap_or(Path::new("."))
    }

    /// What the guard needs to know.
    fn watch(&self, run: Option<&HeldRun>, exchange: Option<&Exchange>) -> Watch {
        let StopTimeouts { grace, default_grace, kill_after } = self.stop_timeouts();
        Watch {
            grace_seconds: grace.unwrap_or(default_grace).as_secs(),
            kill_after_seconds: kill_after.as_secs(),
            keep_in: self.keep_in().to_owned(),
            finish_within_seconds: run.map_or(0, |run| self.finish_within(run).as_secs()),
            exchange: exchange.map(|exchange| exchange.folder().to_owned()),
            mark: format!("{:032x}", fastrand::u128(..)),
            run: run.map(|run| guard::Run { id: run.id, lease: run.token.clone() }),
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
