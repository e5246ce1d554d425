//! `estop run`: what it sends, and what it makes of the answers. `cli/src/runner/` in short.

use crate::configuration::Configuration;
use crate::hub;
use crate::service;
use crate::settings::{
    DRIFT, HEARTBEAT, HEARTBEAT_WATCHED, LEASE, Moment, NOW, PING, POLL, REQUEST_TIMEOUT, STOP, Ticks,
};
use crate::state::{Answer, Holder, NEVER, Order, Phase, RunState, Runner, Says, Socket, State};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// It is answered.
    Good,
    /// Fault: it never arrives.
    RequestLost,
    /// Fault: it is committed, and its answer is lost.
    AnswerLost,
    /// It is committed, and its answer is slow. Whether that is a fault, the configuration says.
    AnswerSlow,
    /// Fault: it arrives long after the runner has given it up.
    RequestLate,
    /// Fault: it is answered, and arrives once more at any time.
    RequestDoubled,
}

impl Way {
    pub const ALL: [Self; 6] =
        [Self::Good, Self::RequestLost, Self::AnswerLost, Self::AnswerSlow, Self::RequestLate, Self::RequestDoubled];

    pub fn is_fault(self, c: &Configuration) -> bool {
        match self {
            Self::Good => false,
            Self::AnswerSlow => !c.slow_answers,
            _ => true,
        }
    }

    fn commits(self) -> bool {
        !matches!(self, Self::RequestLost | Self::RequestLate)
    }
}

/// Whether the service and this runner can reach each other.
pub fn is_reachable(s: &State, runner: usize) -> bool {
    let runner = &s.runners[runner];
    !s.service_is_down && !runner.is_cut_off && !runner.is_paused
}

/// Asks for its shard. All attempts carry the same write id.
pub fn claim(c: &Configuration, s: &mut State, runner: usize, way: Way) -> bool {
    let me = s.runners[runner];
    let is_registered = s.runs[c.run_of_runner(runner)].state != RunState::Unregistered;
    let asks = matches!(me.phase, Phase::Idle | Phase::Waiting) && me.answer.is_none();
    if !is_registered || !asks || !is_reachable(s, runner) {
        return false;
    }
    let says = way.commits().then(|| service::claim(c, s, c.shard_of(runner), Holder::Runner(runner as u8)));
    let me = &mut s.runners[runner];
    me.late_claim |= matches!(way, Way::RequestLate | Way::RequestDoubled);
    // Asking in vain before it is time changes nothing.
    if says == Some(Says::Waits) && me.phase == Phase::Waiting && me.due > 0 && way == Way::Good {
        return false;
    }
    me.phase = Phase::Waiting;
    me.due = HEARTBEAT;
    match (way, says) {
        (Way::AnswerSlow, Some(says)) => me.answer = Some(Answer { sent_ago: 0, says }),
        (Way::Good | Way::RequestDoubled, Some(says)) => hear(c, s, runner, says, NOW),
        _ => {}
    }
    true
}

/// A person or the CI system ends the job that waits for its turn.
pub fn stop_waiting(s: &mut State, runner: usize) -> bool {
    let waits = s.runners[runner].phase == Phase::Waiting;
    if waits {
        s.runners[runner].leave();
    }
    waits
}

/// Sends a heartbeat, if it is time.
pub fn heartbeat(c: &Configuration, s: &mut State, runner: usize, way: Way) -> bool {
    let me = s.runners[runner];
    if !is_reachable(s, runner) || !me.is_live() || me.due != 0 || me.answer.is_some() {
        return false;
    }
    let says = way.commits().then(|| service::heartbeat(c, s, runner));
    let me = &mut s.runners[runner];
    me.late_heartbeat |= matches!(way, Way::RequestLate | Way::RequestDoubled);
    let is_watched = me.socket != Socket::Closed;
    match (way, says) {
        (Way::AnswerSlow, Some(says)) => {
            me.due = if is_watched { HEARTBEAT_WATCHED } else { HEARTBEAT };
            me.answer = Some(Answer { sent_ago: 0, says });
        }
        (Way::Good | Way::RequestDoubled, Some(says)) => {
            me.due = if is_watched { HEARTBEAT_WATCHED } else { HEARTBEAT };
            hear(c, s, runner, says, NOW);
        }
        _ => me.due = HEARTBEAT,
    }
    true
}

/// Reports how the command ended or that it has stopped, until there is an answer.
pub fn finish(c: &Configuration, s: &mut State, runner: usize, way: Way) -> bool {
    // A slow answer to a finish is as good as a prompt one.
    if !is_reachable(s, runner) || s.runners[runner].phase != Phase::Finishing || way == Way::AnswerSlow {
        return false;
    }
    if way.commits() {
        service::finish(c, s, runner);
    }
    let me = &mut s.runners[runner];
    me.late_finish |= matches!(way, Way::RequestLate | Way::RequestDoubled);
    match way {
        Way::Good | Way::RequestDoubled => me.leave(),
        _ => me.due = HEARTBEAT,
    }
    true
}

/// Leaves its result in a file, from which it is sent at any time or never.
pub fn give_up_finishing(s: &mut State, runner: usize) -> bool {
    if is_reachable(s, runner) || s.runners[runner].phase != Phase::Finishing || s.runners[runner].is_paused {
        return false;
    }
    s.runners[runner].late_finish = true;
    s.runners[runner].leave();
    true
}

/// The slow answer arrives.
pub fn hear_slow_answer(c: &Configuration, s: &mut State, runner: usize) -> bool {
    let Some(answer) = s.runners[runner].answer else { return false };
    if s.runners[runner].is_paused {
        return false;
    }
    s.runners[runner].answer = None;
    hear(c, s, runner, answer.says, NOW - answer.sent_ago as Moment);
    true
}

/// A request arrives that its runner has given up or had answered long ago. Nobody hears the answer.
pub fn late_claim_arrives(c: &Configuration, s: &mut State, runner: usize) -> bool {
    if s.service_is_down || !std::mem::take(&mut s.runners[runner].late_claim) {
        return false;
    }
    // While the runner still asks, a repeat finds the token by the write id. Later, a new token reaches nobody.
    let still_asks = matches!(s.runners[runner].phase, Phase::Idle | Phase::Waiting);
    let holder = if still_asks { Holder::Runner(runner as u8) } else { Holder::Nobody };
    service::claim(c, s, c.shard_of(runner), holder);
    true
}

pub fn late_heartbeat_arrives(c: &Configuration, s: &mut State, runner: usize) -> bool {
    if s.service_is_down || !std::mem::take(&mut s.runners[runner].late_heartbeat) {
        return false;
    }
    service::heartbeat(c, s, runner);
    true
}

pub fn late_finish_arrives(c: &Configuration, s: &mut State, runner: usize) -> bool {
    if s.service_is_down || !std::mem::take(&mut s.runners[runner].late_finish) {
        return false;
    }
    service::finish(c, s, runner);
    true
}

/// What follows from an answer to a request that was sent at `sent`.
fn hear(c: &Configuration, s: &mut State, runner: usize, says: Says, sent: Moment) {
    let lease_until = |expires_at: Moment| {
        if c.guards.lease_is_counted_from_when_the_request_was_sent {
            expires_at.min(sent + LEASE)
        } else {
            NOW + LEASE
        }
    };
    let me = &mut s.runners[runner];
    match says {
        Says::Claimed(expires_at) if me.phase == Phase::Waiting => {
            me.lease_until = lease_until(expires_at);
            if c.exclusive && c.guards.no_start_under_a_lease_that_is_over && me.lease_until <= NOW {
                me.phase = Phase::Finishing;
                (me.due, me.uninformed_for) = (0, 0);
            } else {
                me.phase = Phase::Running;
                (me.due, me.uninformed_for) = (HEARTBEAT, 0);
            }
        }
        Says::Waits => me.due = POLL,
        Says::Refused => me.leave(),
        // Most heartbeats renew nothing.
        Says::Continue(expires_at) if me.is_live() && expires_at != me.lease_until => {
            me.lease_until = lease_until(expires_at);
        }
        Says::Stop(order) => hear_order(c, s, runner, order),
        Says::LeaseLost if me.is_live() => {
            me.due = NEVER;
            begin_stop(me);
        }
        _ => {}
    }
}

/// An order to stop or to kill, whoever brought it.
pub fn hear_order(c: &Configuration, s: &mut State, runner: usize, order: Order) {
    let me = &mut s.runners[runner];
    if !me.is_live() {
        return;
    }
    if me.phase == Phase::Stopping && !c.guards.first_order_begins_the_stop {
        me.stop_due = STOP;
    }
    let (was_running, had_heard) = (me.phase == Phase::Running, me.heard);
    begin_stop(me);
    me.heard = me.heard.max(Order::Stop);
    if order == Order::Kill && (was_running || c.guards.kill_is_obeyed_while_stopping) {
        me.heard = Order::Kill;
        (me.stop_due, me.hangs) = (0, false);
    }
    if me.heard > had_heard {
        me.uninformed_for = 0;
    }
}

fn begin_stop(me: &mut Runner) {
    if me.phase == Phase::Running {
        me.phase = Phase::Stopping;
        me.stop_due = STOP;
    }
}

/// `estop` was killed while its command ran.
pub fn guard_takes_over(me: &mut Runner) -> bool {
    if !me.is_live() || me.hangs {
        return false;
    }
    begin_stop(me);
    hub::close(me);
    (me.due, me.answer) = (NEVER, None);
    true
}

/// `--exclusive`: by its own clock, which may be fast or slow, the lease runs out.
pub fn lease_runs_out(c: &Configuration, s: &mut State, runner: usize) -> bool {
    let me = &mut s.runners[runner];
    if !c.exclusive
        || !c.guards.exclusive_runner_stops_at_the_end_of_its_lease
        || me.is_paused
        || me.phase != Phase::Running
        || me.lease_until > NOW + DRIFT
    {
        return false;
    }
    begin_stop(me);
    true
}

/// The command ends by itself or, after the order to stop, has ended.
pub fn command_ends(s: &mut State, runner: usize) -> bool {
    let me = &mut s.runners[runner];
    if !me.is_live() || me.hangs || me.is_paused {
        return false;
    }
    *me = Runner {
        phase: Phase::Finishing,
        is_cut_off: me.is_cut_off,
        late_claim: me.late_claim,
        late_heartbeat: me.late_heartbeat,
        late_finish: me.late_finish,
        ..Runner::default()
    };
    true
}

/// The pings show that the socket is dead.
pub fn notice_dead_socket(s: &mut State, runner: usize) -> bool {
    let me = &mut s.runners[runner];
    if me.is_paused || !matches!(me.socket, Socket::Dead(1..)) {
        return false;
    }
    hub::close(me);
    true
}

/// Whether something must happen before the clock goes on.
pub fn is_overdue(c: &Configuration, s: &State, runner: usize) -> bool {
    let me = &s.runners[runner];
    if me.is_paused {
        return false;
    }
    let must_ask = match me.phase {
        Phase::Waiting => me.due == 0 && c.guards.waiting_runner_polls,
        Phase::Running | Phase::Stopping | Phase::Finishing => me.due == 0,
        Phase::Idle | Phase::Gone => false,
    };
    let must_stop = match me.phase {
        Phase::Running => {
            c.exclusive && c.guards.exclusive_runner_stops_at_the_end_of_its_lease && me.lease_until + DRIFT <= NOW
        }
        Phase::Stopping => me.stop_due == 0 && !me.hangs,
        _ => false,
    };
    let must_hear = me.answer.is_some_and(|answer| answer.sent_ago >= REQUEST_TIMEOUT);
    let must_ping = c.guards.silent_sockets_are_pinged && matches!(me.socket, Socket::Dead(PING..));
    must_stop
        || must_hear
        || must_ping
        || me.stops.prompt > 0
        || me.kills.prompt > 0
        || (must_ask && me.answer.is_none() && is_reachable(s, runner))
}

/// A tick of the runner's clock.
pub fn pass_time(me: &mut Runner) {
    if me.is_paused {
        return;
    }
    if me.is_live() {
        me.lease_until = (me.lease_until - 1).max(-DRIFT);
    }
    if me.due != NEVER {
        me.due = me.due.saturating_sub(1);
    }
    me.stop_due = me.stop_due.saturating_sub(1);
    if me.phase == Phase::Stopping && !me.hangs {
        me.stopping_for = (me.stopping_for + 1).min(STOP + 1);
    }
    if let Socket::Dead(since) = &mut me.socket {
        *since = (*since + 1).min(PING + 1);
    }
    if let Some(answer) = &mut me.answer {
        answer.sent_ago += 1;
        if let Says::Claimed(expires_at) | Says::Continue(expires_at) = &mut answer.says {
            *expires_at -= 1;
        }
    }
}

/// What the runner could know and does not: an order, that its lease is lost, or that it may start.
pub fn is_uninformed(c: &Configuration, s: &State, runner: usize) -> bool {
    let me = &s.runners[runner];
    let shard = &s.shards[c.shard_of(runner)];
    if !is_reachable(s, runner) {
        return false;
    }
    match me.phase {
        Phase::Waiting => service::is_claimable(c, s, c.shard_of(runner)),
        Phase::Running => s.runs[c.run_of_runner(runner)].is_over() || !shard.is_held_by(runner),
        Phase::Stopping => {
            me.due != NEVER
                && s.runs[c.run_of_runner(runner)].order() == Order::Kill
                && me.heard != Order::Kill
                && shard.is_held_by(runner)
                && shard.is_open()
        }
        _ => false,
    }
}

/// See [`Runner::uninformed_for`].
pub fn count_uninformed(c: &Configuration, s: &mut State, runner: usize, longest: Ticks) {
    let is_uninformed = is_uninformed(c, s, runner);
    let me = &mut s.runners[runner];
    me.uninformed_for = if is_uninformed { (me.uninformed_for + 1).min(longest) } else { 0 };
}
