//! The service: what its statements do to the record. Each is one step, for D1 executes one batch after another.
//!
//! Those that change nothing return `false`. The hub is told of what changed (`hub`), the caller gets an answer (`runner`).

use crate::configuration::{Behaviour, Configuration};
use crate::hub;
use crate::settings::{LAPSED_AFTER, LEASE, NOW, STOP_LIMIT, UNCONFIRMED_AFTER};
use crate::state::{Holder, Order, Outcome, RunState, Says, ShardState, State, Stop};

/// `register.sql`, of the second run, and the trigger `runs_supersede`.
pub fn register(c: &Configuration, s: &mut State, run: usize) -> bool {
    if s.runs[run].state != RunState::Unregistered {
        return false;
    }
    let Some(first) = c.other(run) else { return false };
    match c.behaviour {
        Behaviour::CancelPrevious => {
            s.runs[run].state = RunState::Queued;
            cancel(c, s, first);
        }
        Behaviour::Protected => s.runs[run].state = RunState::Queued,
        Behaviour::QueueNew if s.runs[first].is_active() => s.runs[run].state = RunState::Pending,
        Behaviour::QueueNew => s.runs[run].state = RunState::Queued,
    }
    true
}

/// `cancel.sql`.
pub fn cancel(c: &Configuration, s: &mut State, run: usize) -> bool {
    let is_stopping = open_shards(c, s, run) > 0;
    let row = &mut s.runs[run];
    if !row.is_open() && (c.guards.cancel_only_while_open || row.state != RunState::Ended) {
        return false;
    }
    row.state = RunState::Cancelled;
    row.stop = if is_stopping { Stop::Stopping } else { Stop::NeverStarted };
    hub::tell(c, s, run, Order::Stop);
    promote(c, s, run);
    true
}

/// `kill.sql`.
pub fn kill(c: &Configuration, s: &mut State, run: usize) -> bool {
    let row = &mut s.runs[run];
    let is_killable = row.stop == Stop::Stopping
        || (!c.guards.kill_only_while_stopping && row.state == RunState::Cancelled && row.stop != Stop::NeverStarted);
    if row.is_killed || !is_killable {
        return false;
    }
    row.is_killed = true;
    hub::tell(c, s, run, Order::Kill);
    true
}

/// Whether `claim.sql` would take the shard.
pub fn is_claimable(c: &Configuration, s: &State, shard: usize) -> bool {
    let run = c.run_of(shard);
    let row = &s.shards[shard];
    let is_free = match row.state {
        ShardState::Unclaimed => true,
        ShardState::Open => row.live_until <= NOW || !c.guards.claim_only_if_nobody_holds_the_shard,
        ShardState::Finished | ShardState::Stopped(_) => false,
    };
    is_free
        && match s.runs[run].state {
            RunState::Started => true,
            RunState::Queued => {
                !c.guards.claim_only_if_the_group_is_free || c.other(run).is_none_or(|other| !holds_group(c, s, other))
            }
            _ => false,
        }
}

/// Whether the run keeps others of its group from being claimed.
fn holds_group(c: &Configuration, s: &State, run: usize) -> bool {
    let after = if c.guards.claim_waits_for_a_stop { UNCONFIRMED_AFTER } else { 0 };
    s.runs[run].holds_its_group()
        && (s.runs[run].stop == Stop::None
            || c.shards_of(run).any(|shard| s.shards[shard].is_open() && s.shards[shard].live_until > NOW - after))
}

/// `claim.sql` and its `diagnose.sql`. `holder` gets the lease.
pub fn claim(c: &Configuration, s: &mut State, shard: usize, holder: Holder) -> Says {
    let run = c.run_of(shard);
    if is_claimable(c, s, shard) {
        let row = &mut s.shards[shard];
        row.state = ShardState::Open;
        row.holder = holder;
        row.live_until = LEASE;
        row.is_told = false;
        if s.runs[run].state != RunState::Started {
            s.runs[run].state = RunState::Started;
            // The trigger `runs_take_their_group`.
            if let Some(other) = c.other(run).filter(|other| s.runs[*other].stop == Stop::Stopping) {
                give_up(c, s, other);
            }
        }
        return Says::Claimed(LEASE);
    }
    let row = &s.shards[shard];
    let is_mine = row.holder == holder && holder != Holder::Nobody;
    if is_mine && c.guards.repeats_are_recognised {
        // The answer to the first attempt was lost.
        s.broken.claim_of_cancelled |= c.limits && s.runs[run].is_over();
        return Says::Claimed(row.live_until);
    }
    s.broken.answer |= is_mine;
    match s.runs[run].state {
        RunState::Pending | RunState::Queued => Says::Waits,
        _ => Says::Refused,
    }
}

/// `renew.sql` and its `diagnose.sql`.
pub fn heartbeat(c: &Configuration, s: &mut State, runner: usize) -> Says {
    let shard = c.shard_of(runner);
    let run = s.runs[c.run_of(shard)];
    let row = &mut s.shards[shard];
    if !row.is_held_by(runner) && c.guards.heartbeat_only_with_own_lease {
        return Says::LeaseLost;
    }
    let is_believed = run.state == RunState::Started
        || (run.state == RunState::Cancelled
            && (run.cancelled_ago < STOP_LIMIT || !c.guards.renewal_ends_at_the_stop_limit));
    if row.is_open() && row.live_until < LEASE / 2 && is_believed {
        row.live_until = LEASE;
    }
    match (row.state, run.order()) {
        (ShardState::Open, Order::None) => Says::Continue(row.live_until),
        (ShardState::Open | ShardState::Stopped(Outcome::Lost), order) => {
            if !c.guards.heartbeats_carry_the_whole_order && std::mem::replace(&mut row.is_told, true) {
                return Says::Continue(row.live_until);
            }
            Says::Stop(order)
        }
        _ => Says::LeaseLost,
    }
}

/// `finish.sql`, `confirm_stop.sql` and `keep_late.sql`, which are one batch.
pub fn finish(c: &Configuration, s: &mut State, runner: usize) -> bool {
    let shard = c.shard_of(runner);
    let run = c.run_of(shard);
    let state = s.runs[run].state;
    let row = &mut s.shards[shard];
    if !row.is_held_by(runner) && c.guards.finish_only_with_own_lease {
        return false;
    }
    match row.state {
        ShardState::Open if state == RunState::Started || !c.guards.finish_only_while_started => {
            row.state = ShardState::Finished;
            row.live_until = NOW;
            let all_finished = c.shards_of(run).all(|shard| s.shards[shard].state == ShardState::Finished);
            if all_finished || !c.guards.last_shard_ends_its_run {
                s.runs[run].state = RunState::Ended;
                promote(c, s, run);
            }
        }
        ShardState::Open => {
            row.close(Outcome::Confirmed);
            close_stop(c, s, run);
        }
        ShardState::Stopped(Outcome::Lost) if !c.guards.stop_record_closes_once => row.close(Outcome::Confirmed),
        ShardState::Stopped(Outcome::Lost) if !row.has_late_result => row.has_late_result = true,
        _ => return false,
    }
    true
}

/// `lapsed.sql`.
pub fn is_lapsed(c: &Configuration, s: &State, run: usize, after: i8) -> bool {
    if s.runs[run].state != RunState::Started || open_shards(c, s, run) == 0 {
        return false;
    }
    let shards = c.shards_of(run).map(|shard| &s.shards[shard]);
    if c.guards.lapsed_only_if_every_shard_is_silent {
        shards.filter(|shard| shard.state != ShardState::Unclaimed).all(|shard| shard.live_until <= NOW - after)
    } else {
        shards.filter(|shard| shard.is_open()).any(|shard| shard.live_until <= NOW - after)
    }
}

pub fn sweep_lapsed(c: &Configuration, s: &mut State, run: usize) -> bool {
    if !is_lapsed(c, s, run, if c.guards.lapsed_waits_for_the_stop { LAPSED_AFTER } else { 0 }) {
        return false;
    }
    s.runs[run].state = RunState::Cancelled;
    hub::tell(c, s, run, Order::Stop);
    give_up(c, s, run);
    true
}

/// `unconfirmed.sql`.
pub fn is_unconfirmed(c: &Configuration, s: &State, shard: usize, after: i8) -> bool {
    c.guards.sweeper_closes_unconfirmed_stops
        && s.runs[c.run_of(shard)].stop == Stop::Stopping
        && s.shards[shard].is_open()
        && s.shards[shard].live_until <= NOW - after
}

pub fn sweep_unconfirmed(c: &Configuration, s: &mut State, shard: usize) -> bool {
    if !is_unconfirmed(c, s, shard, if c.guards.unconfirmed_waits_for_the_stop { UNCONFIRMED_AFTER } else { 0 }) {
        return false;
    }
    s.shards[shard].close(Outcome::Lost);
    close_stop(c, s, c.run_of(shard));
    true
}

/// The trigger `runs_lost`: the run's runners are given up together.
fn give_up(c: &Configuration, s: &mut State, run: usize) {
    s.runs[run].stop = Stop::Closed(Outcome::Lost);
    for shard in c.shards_of(run) {
        if s.shards[shard].is_open() {
            s.shards[shard].close(Outcome::Lost);
        }
    }
    promote(c, s, run);
}

/// The trigger `run_shards_stopped`: the last shard closes the stop record with the worst that any has.
fn close_stop(c: &Configuration, s: &mut State, run: usize) {
    if s.runs[run].stop != Stop::Stopping || (c.guards.last_shard_closes_the_stop_record && open_shards(c, s, run) > 0)
    {
        return;
    }
    let is_lost = c.shards_of(run).any(|shard| s.shards[shard].state == ShardState::Stopped(Outcome::Lost));
    s.runs[run].stop = Stop::Closed(if is_lost { Outcome::Lost } else { Outcome::Confirmed });
    promote(c, s, run);
}

/// The trigger `runs_promote`: whoever waits for a run that has let go of its group may start.
fn promote(c: &Configuration, s: &mut State, run: usize) {
    if let Some(other) = c.other(run)
        && !s.runs[run].is_active()
        && s.runs[other].state == RunState::Pending
    {
        s.runs[other].state = RunState::Queued;
    }
}

fn open_shards(c: &Configuration, s: &State, run: usize) -> usize {
    c.shards_of(run).filter(|shard| s.shards[*shard].is_open()).count()
}
