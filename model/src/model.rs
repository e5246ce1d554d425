//! The model: what can happen in a state, and what comes of it.

use stateright::{Model, Property};

use crate::clock;
use crate::configuration::{Configuration, RUNNERS};
use crate::fault::Fault;
use crate::hub;
use crate::properties;
use crate::runner::{self, Way};
use crate::service;
use crate::settings::{DRIFT, NOW};
use crate::state::{Broken, Holder, Messages, Order, Outcome, Phase, RunState, ShardState, Socket, State, Stop};

/// What happens. Runs, shards and runners are numbered from 0, over all runs; the two shards of a run may swap their numbers
/// from one step to the next (`sort_shards`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    TimePasses,
    // People, the CI system, and what else cancels: the sweeper because of age, or too many failed tests.
    Register(usize),
    Cancel(usize),
    RepeatCancel(usize),
    Kill(usize),
    // The sweeper.
    SweepLapsed(usize),
    SweepUnconfirmed(usize),
    // The runners.
    Claim(usize, Way),
    StopWaiting(usize),
    Heartbeat(usize, Way),
    HearSlowAnswer(usize),
    CommandEnds(usize),
    LeaseRunsOut(usize),
    Finish(usize, Way),
    GiveUpFinishing(usize),
    // Requests that were given up long ago.
    LateClaimArrives(usize),
    LateHeartbeatArrives(usize),
    LateFinishArrives(usize),
    // The hub.
    OpenSocket(usize),
    NoticeDeadSocket(usize),
    Push(usize, Order),
    LatePush(usize, Order),
    /// The hub is told of a cancel whose batch D1 then refuses. Only without its guard.
    PushUncommitted(usize),
    Feed(u8),
    ListAnew,
    HearList,
    // What goes wrong, and what comes back.
    Fault(Fault),
    NetworkIsBack(usize),
    ServiceIsBack,
    MachinePauses(usize),
    MachineGoesOn(usize),
}

impl Action {
    /// How many faults it is.
    fn faults(self, c: &Configuration) -> u8 {
        match self {
            Self::Claim(_, way) | Self::Heartbeat(_, way) | Self::Finish(_, way) => u8::from(way.is_fault(c)),
            Self::Fault(_) => 1,
            _ => 0,
        }
    }
}

impl Model for Configuration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::start(self)]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        actions.push(Action::TimePasses);
        for run in 0..self.runs {
            match s.runs[run].state {
                RunState::Unregistered => actions.push(Action::Register(run)),
                RunState::Started => actions.extend([Action::Cancel(run), Action::SweepLapsed(run)]),
                RunState::Pending | RunState::Queued => actions.push(Action::Cancel(run)),
                RunState::Ended | RunState::Cancelled if !self.guards.cancel_only_while_open => {
                    actions.push(Action::Cancel(run));
                }
                RunState::Ended | RunState::Cancelled => {}
            }
            if s.runs[run].cancel_is_unanswered {
                actions.push(Action::RepeatCancel(run));
            }
            if self.kill && s.runs[run].state == RunState::Cancelled {
                actions.push(Action::Kill(run));
            }
            if !self.guards.told_after_the_commit {
                actions.push(Action::PushUncommitted(run));
            }
        }
        for shard in 0..self.shards() {
            if s.shards[shard].state == ShardState::Open {
                actions.push(Action::SweepUnconfirmed(shard));
            }
        }
        for runner in 0..self.runners() {
            self.runner_actions(s, runner, actions);
        }
        if self.watcher {
            actions.extend((1..=s.watcher.version).map(Action::Feed));
            actions.extend([Action::ListAnew, Action::HearList]);
        }
        if s.service_is_down {
            actions.push(Action::ServiceIsBack);
        }
        if s.faults_left > 0 {
            let mut faults = Vec::new();
            Fault::candidates(self, s, &mut faults);
            actions.extend(faults.into_iter().map(Action::Fault));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut s = *before;
        s.faults_left = s.faults_left.checked_sub(action.faults(self))?;
        if !self.apply(&mut s, action) {
            return None;
        }
        notice(self, before, &mut s);
        normalise(self, &mut s);
        Some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}

impl Configuration {
    fn runner_actions(&self, s: &State, runner: usize, actions: &mut Vec<Action>) {
        let me = &s.runners[runner];
        let may_fail = s.faults_left > 0;
        let ways = Way::ALL.into_iter().filter(|way| may_fail || !way.is_fault(self));
        match me.phase {
            Phase::Idle | Phase::Waiting => {
                actions.extend(ways.map(|way| Action::Claim(runner, way)));
                actions.push(Action::StopWaiting(runner));
            }
            Phase::Running | Phase::Stopping => {
                if me.due == 0 {
                    actions.extend(ways.map(|way| Action::Heartbeat(runner, way)));
                }
                actions.push(Action::CommandEnds(runner));
                if me.lease_until <= NOW + DRIFT {
                    actions.push(Action::LeaseRunsOut(runner));
                }
                match me.socket {
                    Socket::Closed => actions.push(Action::OpenSocket(runner)),
                    Socket::Dead(_) => actions.push(Action::NoticeDeadSocket(runner)),
                    Socket::Open => {}
                }
            }
            Phase::Finishing => {
                actions.extend(ways.map(|way| Action::Finish(runner, way)));
                actions.push(Action::GiveUpFinishing(runner));
            }
            Phase::Gone => {}
        }
        if me.answer.is_some() {
            actions.push(Action::HearSlowAnswer(runner));
        }
        let late = [
            (me.late_claim, Action::LateClaimArrives(runner)),
            (me.late_heartbeat, Action::LateHeartbeatArrives(runner)),
            (me.late_finish, Action::LateFinishArrives(runner)),
            (me.stops.prompt > 0, Action::Push(runner, Order::Stop)),
            (me.kills.prompt > 0, Action::Push(runner, Order::Kill)),
            (me.stops.late > 0, Action::LatePush(runner, Order::Stop)),
            (me.kills.late > 0, Action::LatePush(runner, Order::Kill)),
            (me.is_cut_off, Action::NetworkIsBack(runner)),
            (self.machines_pause && me.is_live(), Action::MachinePauses(runner)),
            (me.is_paused, Action::MachineGoesOn(runner)),
        ];
        actions.extend(late.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
    }

    /// Whether anything came of it.
    fn apply(&self, s: &mut State, action: Action) -> bool {
        let c = self;
        match action {
            Action::TimePasses => clock::pass(c, s),
            Action::Register(run) => !s.service_is_down && service::register(c, s, run),
            Action::Cancel(run) => !s.service_is_down && service::cancel(c, s, run),
            Action::RepeatCancel(run) => {
                if s.service_is_down {
                    return false;
                }
                s.runs[run].cancel_is_unanswered = false;
                s.broken.answer |= !c.guards.repeats_are_recognised;
                true
            }
            Action::Kill(run) => !s.service_is_down && service::kill(c, s, run),
            Action::SweepLapsed(run) => !s.service_is_down && service::sweep_lapsed(c, s, run),
            Action::SweepUnconfirmed(shard) => !s.service_is_down && service::sweep_unconfirmed(c, s, shard),
            Action::Claim(runner, way) => runner::claim(c, s, runner, way),
            Action::StopWaiting(runner) => runner::stop_waiting(s, runner),
            Action::Heartbeat(runner, way) => runner::heartbeat(c, s, runner, way),
            Action::HearSlowAnswer(runner) => runner::hear_slow_answer(c, s, runner),
            Action::CommandEnds(runner) => runner::command_ends(s, runner),
            Action::LeaseRunsOut(runner) => runner::lease_runs_out(c, s, runner),
            Action::Finish(runner, way) => runner::finish(c, s, runner, way),
            Action::GiveUpFinishing(runner) => runner::give_up_finishing(s, runner),
            Action::LateClaimArrives(runner) => runner::late_claim_arrives(c, s, runner),
            Action::LateHeartbeatArrives(runner) => runner::late_heartbeat_arrives(c, s, runner),
            Action::LateFinishArrives(runner) => runner::late_finish_arrives(c, s, runner),
            Action::OpenSocket(runner) => runner::is_reachable(s, runner) && hub::open(c, s, runner),
            Action::NoticeDeadSocket(runner) => runner::notice_dead_socket(s, runner),
            Action::Push(runner, order) => !s.runners[runner].is_paused && hub::deliver(c, s, runner, order, false),
            Action::LatePush(runner, order) => !s.runners[runner].is_paused && hub::deliver(c, s, runner, order, true),
            Action::PushUncommitted(run) => {
                hub::tell(c, s, run, Order::Stop);
                true
            }
            Action::Feed(version) => hub::deliver_to_watcher(c, s, version),
            Action::ListAnew => hub::list_anew(s),
            Action::HearList => hub::hear_list(c, s),
            Action::Fault(fault) => fault.strike(c, s),
            Action::NetworkIsBack(runner) => std::mem::take(&mut s.runners[runner].is_cut_off),
            Action::ServiceIsBack => std::mem::take(&mut s.service_is_down),
            Action::MachinePauses(runner) => !std::mem::replace(&mut s.runners[runner].is_paused, true),
            Action::MachineGoesOn(runner) => std::mem::take(&mut s.runners[runner].is_paused),
        }
    }
}

/// Compares the record with what it was: what changed that never may, and whether the hub tells whoever watches.
fn notice(c: &Configuration, before: &State, s: &mut State) {
    let mut broken = Broken::default();
    let mut is_changed = false;
    for run in 0..c.runs {
        let (old, new) = (&before.runs[run], &s.runs[run]);
        broken.decision |= old.is_over() && new.state != old.state;
        let is_closed = matches!(old.stop, Stop::NeverStarted | Stop::Closed(_));
        broken.closed_record |= is_closed && (new.stop, new.is_killed) != (old.stop, old.is_killed);
        is_changed |= run == 0 && (old.state, old.stop, old.is_killed) != (new.state, new.stop, new.is_killed);
    }
    for shard in 0..c.shards() {
        let (old, new) = (&before.shards[shard], &s.shards[shard]);
        let is_closed = matches!(old.state, ShardState::Finished | ShardState::Stopped(_));
        broken.closed_record |= is_closed && (new.state, new.holder) != (old.state, old.holder);
        broken.lost_early |= old.is_open() && new.state == ShardState::Stopped(Outcome::Lost) && old.live_until > NOW;
        broken.closed_record |= old.has_late_result && !new.has_late_result;
        is_changed |= c.run_of(shard) == 0 && (old.state, old.holder) != (new.state, new.holder);
    }
    s.broken.decision |= broken.decision;
    s.broken.closed_record |= broken.closed_record;
    s.broken.lost_early |= broken.lost_early;
    if c.watcher && is_changed {
        hub::tell_watcher(s);
    }
}

/// Forgets what nothing depends on any more, so that states that differ in nothing else are one.
fn normalise(c: &Configuration, s: &mut State) {
    for run in &mut s.runs {
        if run.stop != Stop::Stopping {
            (run.cancelled_ago, run.stop_open_for) = (0, 0);
        }
    }
    for shard in 0..c.shards() {
        let is_over = s.runs[c.run_of(shard)].is_over();
        if is_over && s.shards[shard].state == ShardState::Finished {
            s.shards[shard].live_until = NOW;
        }
    }
    for me in &mut s.runners {
        if !me.is_live() {
            me.lease_until = NOW;
            (me.stops, me.kills) = (Messages::NONE, Messages::NONE);
        }
    }
    if c.runners_of_a_shard == 1 && c.shards_of_a_run == 2 {
        for run in 0..c.runs {
            sort_shards(s, c.shards_of(run).start);
        }
    }
}

/// The two shards of a run are alike, so of two states that differ only in their order one is enough.
fn sort_shards(s: &mut State, first: usize) {
    let second = first + 1;
    let key = |s: &State, i: usize| {
        let mut shard = s.shards[i];
        if shard.is_held_by(i) {
            shard.holder = Holder::Runner(RUNNERS as u8);
        }
        (shard, s.runners[i])
    };
    if key(s, first) > key(s, second) {
        s.shards.swap(first, second);
        s.runners.swap(first, second);
        for (here, there) in [(first, second), (second, first)] {
            if s.shards[here].is_held_by(there) {
                s.shards[here].holder = Holder::Runner(here as u8);
            }
        }
    }
}
