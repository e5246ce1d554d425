//! What always holds, and what is possible at all.
//!
//! None of these is stateright's `eventually`, which misses counterexamples where paths join or go round. Whatever has to
//! happen has to happen within a time, so that its absence is a state that can be found.

use stateright::{Model, Property};

use crate::clock;
use crate::configuration::Configuration;
use crate::model::Action;
use crate::settings::{
    HEARD_LATER, HEARD_LATER_IF_SLOW, HEARD_WITHIN, LIST_ANEW, NOW, PING, POLL, STOP, STOP_CLOSES_WITHIN, Ticks,
};
use crate::state::{Order, Outcome, Phase, RunState, Runner, ShardState, Socket, State, Stop};

pub const DECIDED_ONCE: &str = "a run is decided once, and never changes again";
pub const CLOSED_ONCE: &str = "a stop record closes once, and so does a shard";
pub const CLOSES: &str = "the stop record of a cancelled run closes in time";
pub const HEARD: &str = "an order is heard in time by a runner that can be reached";
pub const LOST: &str = "a runner is given up only after the end of its lease";
pub const STOPPED: &str = "a shard that is finished or confirmed has stopped";
pub const LAST_SHARD: &str = "a run is over and stopped only when all of its shards are";
pub const LEASE_IS_TRUE: &str = "whoever believes in its lease has it";
pub const ALONE: &str = "with --exclusive no two runs of a group are live";
pub const NO_STOP_WITHOUT_CANCEL: &str = "no runner is ordered to stop for a run that goes on";
pub const STOPS_IN_TIME: &str = "a stop takes no longer than it may, however often it is ordered";
pub const CLAIMED: &str = "a runner that waits claims in time once it may";
pub const ANSWERED: &str = "a repeat is told what the first attempt did";
pub const SHORT_HEARTBEATS: &str = "a runner whose socket is dead goes back to short heartbeats";
pub const FORWARD: &str = "whoever watches never goes back";
pub const UP_TO_DATE: &str = "whoever watches is up to date in time";
pub const TIME_GOES_ON: &str = "time never stands still";

type Condition = fn(&Configuration, &State) -> bool;

fn always(name: &'static str, condition: Condition) -> Property<Configuration> {
    Property::always(name, condition)
}

fn sometimes(name: &'static str, condition: Condition) -> Property<Configuration> {
    Property::sometimes(name, condition)
}

/// The properties of a configuration.
pub fn of(c: &Configuration) -> Vec<Property<Configuration>> {
    let mut properties: Vec<Property<Configuration>> = vec![
        always(DECIDED_ONCE, |_, s| !s.broken.decision),
        always(CLOSED_ONCE, |_, s| !s.broken.closed_record),
        always(CLOSES, |c, s| s.runs[..c.runs].iter().all(|run| run.stop_open_for <= STOP_CLOSES_WITHIN)),
        always(HEARD, orders_are_heard),
        always(LOST, |_, s| !s.broken.lost_early),
        always(STOPPED, what_is_closed_has_stopped),
        always(LAST_SHARD, what_is_over_has_no_open_shard),
        always(LEASE_IS_TRUE, beliefs_are_true),
        always(NO_STOP_WITHOUT_CANCEL, orders_are_of_cancelled_runs),
        always(STOPS_IN_TIME, |c, s| s.runners[..c.runners()].iter().all(|r| r.hangs || r.stopping_for <= STOP)),
        always(ANSWERED, |_, s| !s.broken.answer),
        always(TIME_GOES_ON, |c, s| !clock::is_held_up(c, s) || is_something_possible(c, s)),
        // So that nothing of the above holds for want of cases.
        sometimes("a run ends", |_, s| s.runs[0].state == RunState::Ended),
        sometimes("a stop is confirmed", |_, s| s.runs[0].stop == Stop::Closed(Outcome::Confirmed)),
        sometimes("a run that waits for its runners is cancelled", |_, s| s.runs[0].stop == Stop::NeverStarted),
        sometimes("a push message brings the order", |_, s| {
            s.runners[0].phase == Phase::Stopping && s.runners[0].due > 0 && s.runners[0].stopping_for == 0
        }),
    ];
    if c.faults > 0 {
        properties.extend([
            always(SHORT_HEARTBEATS, |c, s| {
                s.runners[..c.runners()].iter().all(|r| !matches!(r.socket, Socket::Dead(since) if since > PING))
            }),
            sometimes("a runner is lost", |_, s| s.shards[0].state == ShardState::Stopped(Outcome::Lost)),
            sometimes("a lost runner's result is kept", |_, s| s.shards[0].has_late_result),
        ]);
    }
    if c.runs > 1 {
        properties.push(sometimes("the second run starts", |_, s| s.runs[1].state == RunState::Started));
        properties.push(always(CLAIMED, whoever_waits_claims));
        if c.exclusive {
            properties.push(always(ALONE, one_run_is_live));
        }
    }
    if c.kill {
        properties.push(sometimes("a runner is killed", |_, s| s.runners[0].heard == Order::Kill));
    }
    if c.watcher {
        properties.push(always(FORWARD, |_, s| !s.watcher.went_back));
        properties.push(always(UP_TO_DATE, |_, s| s.watcher.outdated_for <= LIST_ANEW));
    }
    if c.runners_of_a_shard > 1 {
        properties.push(sometimes("the second runner takes the shard of the first", |_, s| {
            s.runners[0].is_live() && s.runners[1].phase == Phase::Running
        }));
    }
    if c.limits {
        properties.extend(limits());
    }
    properties
}

pub const TWO_RUNS_LIVE: &str = "two runs of a group are live";
pub const TWO_RUNNERS_LIVE: &str = "two runners of a shard are live";
pub const CLAIM_OF_CANCELLED: &str = "a repeated claim is granted although the run is cancelled by then";

/// What the protocol does not promise, and an example shows.
fn limits() -> [Property<Configuration>; 3] {
    [
        sometimes(TWO_RUNS_LIVE, |c, s| live_runs(c, s, |_| true) > 1),
        sometimes(TWO_RUNNERS_LIVE, |c, s| {
            let live = s.runners[..c.runners_of_a_shard].iter().filter(|runner| runner.is_live());
            live.count() > 1
        }),
        sometimes(CLAIM_OF_CANCELLED, |_, s| s.broken.claim_of_cancelled),
    ]
}

/// How much later than usual anything may be heard, after the faults that there were.
fn later(c: &Configuration, s: &State) -> Ticks {
    (c.faults - s.faults_left) * HEARD_LATER + u8::from(c.slow_answers) * HEARD_LATER_IF_SLOW
}

fn orders_are_heard(c: &Configuration, s: &State) -> bool {
    let within = HEARD_WITHIN + later(c, s);
    s.runners[..c.runners()].iter().all(|runner| !runner.is_live() || runner.uninformed_for <= within)
}

fn whoever_waits_claims(c: &Configuration, s: &State) -> bool {
    let within = POLL + later(c, s);
    s.runners[..c.runners()].iter().all(|runner| runner.phase != Phase::Waiting || runner.uninformed_for <= within)
}

fn what_is_closed_has_stopped(c: &Configuration, s: &State) -> bool {
    (0..c.runners()).all(|runner| {
        let shard = &s.shards[c.shard_of(runner)];
        let is_said = matches!(shard.state, ShardState::Finished | ShardState::Stopped(Outcome::Confirmed));
        !(s.runners[runner].is_live() && is_said && shard.is_held_by(runner))
    })
}

fn what_is_over_has_no_open_shard(c: &Configuration, s: &State) -> bool {
    (0..c.runs).all(|run| s.runs[run].is_active() || c.shards_of(run).all(|shard| !s.shards[shard].is_open()))
}

/// The runner's belief errs towards too early. That is what `--exclusive` rests on.
fn beliefs_are_true(c: &Configuration, s: &State) -> bool {
    (0..c.runners()).all(|runner| {
        let (me, shard) = (&s.runners[runner], &s.shards[c.shard_of(runner)]);
        let believes = me.is_live() && me.lease_until > NOW;
        !believes || (shard.is_open() && shard.is_held_by(runner) && shard.live_until >= me.lease_until)
    })
}

/// A stop that hangs takes longer than the timeouts allow for, and `--exclusive` promises nothing for it.
fn one_run_is_live(c: &Configuration, s: &State) -> bool {
    live_runs(c, s, |runner| !runner.hangs) <= 1
}

/// How many runs have a command that runs, of the runners that count.
fn live_runs(c: &Configuration, s: &State, counts: fn(&Runner) -> bool) -> usize {
    let is_live = |run: &usize| s.runners[c.runners_of(*run)].iter().any(|runner| runner.is_live() && counts(runner));
    (0..c.runs).filter(is_live).count()
}

fn orders_are_of_cancelled_runs(c: &Configuration, s: &State) -> bool {
    (0..c.runners()).all(|runner| {
        !s.runners[runner].is_live()
            || s.runners[runner].heard == Order::None
            || s.runs[c.run_of_runner(runner)].state == RunState::Cancelled
    })
}

/// Whether anything but the clock can go on, without a fault.
fn is_something_possible(c: &Configuration, s: &State) -> bool {
    let mut actions = Vec::new();
    let faultless = State { faults_left: 0, ..*s };
    c.actions(&faultless, &mut actions);
    actions.into_iter().any(|action| action != Action::TimePasses && c.next_state(&faultless, action).is_some())
}
