//! Time. It goes on whenever nothing that takes no time is still to be done.

use crate::configuration::Configuration;
use crate::runner;
use crate::service;
use crate::settings::{
    HEARD_LATER, HEARD_LATER_IF_SLOW, HEARD_WITHIN, LAPSED_AFTER, LIST_ANEW, LONG_AGO, POLL, STOP_CLOSES_WITHIN,
    STOP_LIMIT, SWEEP, UNCONFIRMED_AFTER,
};
use crate::state::{ShardState, State, Stop};

/// A tick of every clock. They need not agree: see [`runner::lease_runs_out`].
pub fn pass(c: &Configuration, s: &mut State) -> bool {
    if is_held_up(c, s) {
        return false;
    }
    for run in &mut s.runs[..c.runs] {
        if run.stop == Stop::Stopping {
            run.cancelled_ago = (run.cancelled_ago + 1).min(STOP_LIMIT);
            if !s.service_is_down {
                run.stop_open_for = (run.stop_open_for + 1).min(STOP_CLOSES_WITHIN + 1);
            }
        }
    }
    for shard in &mut s.shards[..c.shards()] {
        if matches!(shard.state, ShardState::Open | ShardState::Finished) {
            shard.live_until = (shard.live_until - 1).max(LONG_AGO);
        }
    }
    for runner in 0..c.runners() {
        runner::pass_time(&mut s.runners[runner]);
    }
    let too_long = HEARD_WITHIN.max(POLL) + c.faults * HEARD_LATER + HEARD_LATER_IF_SLOW + 1;
    for runner in 0..c.runners() {
        runner::count_uninformed(c, s, runner, too_long);
    }
    if c.watcher {
        let watcher = &mut s.watcher;
        watcher.lists_anew_in = watcher.lists_anew_in.saturating_sub(1);
        let is_outdated = watcher.shows != watcher.version && !s.service_is_down;
        watcher.outdated_for = if is_outdated { (watcher.outdated_for + 1).min(LIST_ANEW + 1) } else { 0 };
    }
    true
}

/// Whether something is to be done before time goes on.
pub fn is_held_up(c: &Configuration, s: &State) -> bool {
    let is_sweep_overdue = || {
        !s.service_is_down
            && ((0..c.runs).any(|run| service::is_lapsed(c, s, run, LAPSED_AFTER + SWEEP))
                || (0..c.shards()).any(|shard| service::is_unconfirmed(c, s, shard, UNCONFIRMED_AFTER + SWEEP)))
    };
    let is_watcher_overdue = || {
        let lists_anew = c.guards.watcher_lists_anew && s.watcher.lists_anew_in == 0 && !s.service_is_down;
        c.watcher && (s.watcher.prompt != 0 || s.watcher.listed.is_some() || lists_anew)
    };
    (0..c.runners()).any(|runner| runner::is_overdue(c, s, runner)) || is_sweep_overdue() || is_watcher_overdue()
}
