//! The guard itself: what `estop guard` does, which is not meant for people.

use std::io::BufRead;
use std::thread;
use std::time::Duration;

use estop_protocol::run::ConfirmedStop;
use nix::sys::signal::SigSet;
use rustix::process::{self, Pid};

use super::{Message, Watch};
use crate::clock;
use crate::exit::Exit;
use crate::retry;
use crate::runner::delivery::{Answer, Delivery};
use crate::runner::finish::Ending;
use crate::runner::messages;
use crate::runner::process_group::ProcessGroup;
use crate::runner::progress::Exchange;
use crate::runner::supervisor::{self, Action, Event, ExitStatus, Notice, Remaining, State, StopTimeouts};
use crate::service::Service;
use crate::terminal;

/// Waits for estop to end. If it was killed, ends COMMAND's processes and finishes the run.
pub fn guard(service: &Service) -> Exit {
    // A session of its own: Ctrl-C and signals for estop's process group are none for the guard. And whatever asks
    // processes to end before it kills them must not find it gone when it is needed.
    let _ = process::setsid();
    let _ = SigSet::all().thread_block();
    let (mut watch, mut command, mut delivery) = (None, None, None);
    // The lines end when estop does, however it dies. It may be cut off in the middle of one.
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Message::Watch(what)) => watch = Some(what),
            Ok(Message::Started(pid)) => command = Pid::from_raw(pid),
            // Its process id may be another's by now.
            Ok(Message::Finishing(what)) => (command, delivery) = (None, Some(what)),
            Ok(Message::Dismissed) => return Exit::Done,
            Err(_) => {}
        }
    }
    let Some(watch) = watch else {
        terminal::error("`estop guard` is for `estop run` to start. Use `estop run`");
        return Exit::Usage;
    };
    terminal::warn(messages::estop_died(watch.run.as_ref().map(|run| run.id)));
    // It is removed when this ends.
    let exchange = watch.exchange.clone().and_then(|folder| Exchange::of(folder).ok());
    let stop = command.and_then(|command| stop(&ProcessGroup::of(command, &watch.mark), &watch));
    if let Some(run) = &watch.run {
        // Nobody cancelled the run, and its tests have no result.
        let ending = Ending::Interrupted(ExitStatus::Signal(9));
        let told = exchange.as_ref().map(Exchange::last_look).unwrap_or_default();
        let delivery = delivery.unwrap_or_else(|| ending.delivery(run.id, &run.lease, stop).with_tests(&told));
        finish(service, &delivery, &watch, stop);
    }
    Exit::Done
}

fn stop(group: &ProcessGroup, watch: &Watch) -> Option<ConfirmedStop> {
    let timeouts = StopTimeouts {
        grace: None,
        default_grace: Duration::from_secs(watch.grace_seconds),
        kill_after: Duration::from_secs(watch.kill_after_seconds),
    };
    let mut state = State::new(timeouts, None);
    let mut event = Event::EstopDied;
    loop {
        let (after, actions) = supervisor::next(state, event, clock::now());
        state = after;
        for action in actions {
            match action {
                Action::Send(signal) => group.signal(signal, true),
                Action::Report(Notice::Terminating) => terminal::info(messages::TERMINATING),
                Action::Report(Notice::Killing) => terminal::info(messages::KILLING),
                Action::Finish => return state.confirmed_stop(),
                _ => {}
            }
        }
        thread::sleep(state.next_tick(clock::now()).unwrap_or_default());
        // COMMAND is not our child, so its exit status is unknown.
        event = match group.remaining() {
            Remaining::None | Remaining::Strays if state.exited().is_none() => Event::Exited(ExitStatus::Signal(9)),
            remaining => Event::Tick(remaining),
        };
    }
}

fn finish(service: &Service, delivery: &Delivery, watch: &Watch, stop: Option<ConfirmedStop>) {
    let (id, within) = (delivery.test_run, Duration::from_secs(watch.finish_within_seconds));
    match retry::send(service, &delivery.call(), within).map(|response| delivery.answer(&response)) {
        // It was cancelled before, or estop had finished it.
        Ok(Answer::Recorded | Answer::Cancelled { .. }) => {
            if let Some(stop) = stop {
                terminal::info(messages::stopped(id, stop));
            }
        }
        Ok(Answer::LeaseLost(message)) => terminal::warn(message),
        Ok(Answer::Refused(failure)) => delivery.leave(&watch.keep_in, &failure.message),
        Err(error) => delivery.leave(&watch.keep_in, &error.message),
    }
}
