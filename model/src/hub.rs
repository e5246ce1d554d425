//! The hub: tells whoever has a socket what the record says. It decides nothing, keeps nothing, and may lose, delay, double and
//! reorder what it is given.

use crate::configuration::Configuration;
use crate::runner;
use crate::settings::{HEARTBEAT, HEARTBEAT_WATCHED, LIST_ANEW};
use crate::state::{Messages, NEVER, Order, Runner, Socket, State, Watcher};

/// A run was cancelled or killed, and its runners' lines are told.
pub fn tell(c: &Configuration, s: &mut State, run: usize, order: Order) {
    for runner in c.runners_of(run) {
        let runner = &mut s.runners[runner];
        if runner.socket == Socket::Open {
            runner.messages(order).add();
        }
    }
}

/// A message arrives, a prompt or a late one.
pub fn deliver(c: &Configuration, s: &mut State, runner: usize, order: Order, late: bool) -> bool {
    let is_open = s.runners[runner].socket == Socket::Open;
    let messages = s.runners[runner].messages(order);
    let count = if late { &mut messages.late } else { &mut messages.prompt };
    if *count == 0 {
        return false;
    }
    *count -= 1;
    if is_open {
        runner::hear_order(c, s, runner, order);
    }
    true
}

/// The runner opens its socket.
pub fn open(c: &Configuration, s: &mut State, runner: usize) -> bool {
    let runner = &mut s.runners[runner];
    if !runner.sends_heartbeats() || runner.socket != Socket::Closed {
        return false;
    }
    runner.socket = Socket::Open;
    // An order may have come before the socket was there.
    runner.due = if c.guards.heartbeat_after_the_socket_opens { 0 } else { HEARTBEAT_WATCHED };
    true
}

/// The runner learns that its socket is closed, and goes back to short heartbeats.
pub fn close(runner: &mut Runner) {
    runner.socket = Socket::Closed;
    lose_messages(runner);
    if runner.due != NEVER {
        runner.due = runner.due.min(HEARTBEAT);
    }
}

/// The line is cut. Nobody is told.
pub fn cut(runner: &mut Runner) {
    if runner.socket == Socket::Open {
        runner.socket = Socket::Dead(0);
    }
    lose_messages(runner);
}

fn lose_messages(runner: &mut Runner) {
    (runner.stops, runner.kills) = (Messages::NONE, Messages::NONE);
}

/// The record of the first run changed: a new version, which whoever watches is told.
pub fn tell_watcher(s: &mut State) {
    s.watcher.version += 1;
    s.watcher.prompt |= 1 << s.watcher.version;
}

/// A message of this version arrives at whoever watches.
pub fn deliver_to_watcher(c: &Configuration, s: &mut State, version: u8) -> bool {
    let watcher = &mut s.watcher;
    let bit = 1 << version;
    if (watcher.prompt | watcher.late) & bit == 0 {
        return false;
    }
    if watcher.prompt & bit != 0 {
        watcher.prompt &= !bit;
    } else {
        watcher.late &= !bit;
    }
    show(c, watcher, version);
    true
}

/// Of two versions the higher is the newer, whatever came first.
fn show(c: &Configuration, watcher: &mut Watcher, version: u8) {
    if version > watcher.shows || !c.guards.receiver_drops_older_versions {
        watcher.went_back |= version < watcher.shows;
        watcher.shows = version;
    }
    if watcher.shows == watcher.version {
        watcher.outdated_for = 0;
    }
}

/// Whoever watches lists anew.
pub fn list_anew(s: &mut State) -> bool {
    if s.watcher.lists_anew_in > 0 || s.service_is_down {
        return false;
    }
    s.watcher.lists_anew_in = LIST_ANEW;
    s.watcher.listed = Some(s.watcher.version);
    true
}

/// The list arrives. The hub may have told of something newer since it was read.
pub fn hear_list(c: &Configuration, s: &mut State) -> bool {
    let Some(version) = s.watcher.listed.take() else { return false };
    show(c, &mut s.watcher, version);
    // What it does not know now has happened since the list was read, which was in this tick.
    s.watcher.outdated_for = 0;
    true
}

impl Runner {
    /// The messages of this kind that are on their way to it.
    pub fn messages(&mut self, order: Order) -> &mut Messages {
        match order {
            Order::Kill => &mut self.kills,
            Order::None | Order::Stop => &mut self.stops,
        }
    }
}
