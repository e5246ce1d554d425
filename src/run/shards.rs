//! The machine of a run with shards: what can happen to it, and what comes of it.
//!
//! As in [`super`], nothing in the service calls this to decide. `tests/native/shards/model.rs` holds the service against it
//! through random sequences, `tests/native/orders.rs` through every order of a few events.

use estop_protocol::run::{ConfirmedStop, ErrorCode, RunResult, State, StopOutcome};

use super::Timeout;

/// How tests end: with a result, or broken.
pub type End = Result<RunResult, ErrorCode>;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where it is in its life.
    pub state: State,
    /// How it ended or broke.
    pub end: Option<End>,
    /// The stop record, once it is cancelled.
    pub stop: Option<StopOutcome>,
    /// Whether someone has ordered SIGKILL.
    pub is_killed: bool,
    /// Whether it was cancelled so long ago that heartbeats no longer keep a runner's lease.
    pub is_overdue: bool,
    /// After how many failed tests it is cancelled.
    pub fail_fast: Option<u32>,
    /// Its shards, by number from 1; `None` for one that no runner has claimed.
    pub shards: Vec<Option<Shard>>,
}

/// A shard that a runner has claimed. It is open until it has an end or a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// How its tests ended or broke.
    pub end: Option<End>,
    /// How its runner stopped, if its run was cancelled first.
    pub stop: Option<StopOutcome>,
    /// How many of its tests have failed so far.
    pub failed: u32,
    /// Whether its runner was heard of since the last [`Event::Silence`].
    pub is_heard: bool,
    /// Whether its runner was given up as lost, and said afterwards how the tests had ended.
    pub has_late_result: bool,
}

/// What can happen to a run. Shards are numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A new runner takes the shard.
    Claim { shard: usize },
    /// The shard's runner says that it lives, and how many tests have failed so far.
    Heartbeat { shard: usize, failed: u32 },
    /// The shard's runner says how the tests ended and, for the case that they were to stop, how they did.
    Finish { shard: usize, end: End, failed: u32, stop: ConfirmedStop },
    /// Someone stops the run.
    Cancel,
    /// Someone orders SIGKILL.
    Kill,
    /// No runner is heard of for so long that every lease runs out, and with it the timeouts that begin there.
    Silence,
    /// The sweeper comes by. Of [`Timeout::Unclaimed`], [`Timeout::Incomplete`] and [`Timeout::OverAge`] the time has passed.
    Sweep(Timeout),
}

/// The run after `event`, or `None` where the event is refused and changes nothing.
pub fn after(run: &Run, event: Event) -> Option<Run> {
    let mut next = run.clone();
    let took = match event {
        Event::Claim { shard } => next.claim(shard),
        Event::Heartbeat { shard, failed } => next.heartbeat(shard, failed),
        Event::Finish { shard, end, failed, stop } => next.finish(shard, end, failed, stop),
        Event::Cancel => next.cancel(),
        Event::Kill => next.kill(),
        Event::Silence => next.silence(),
        Event::Sweep(timeout) => next.sweep(timeout),
    };
    took.then_some(next)
}

impl Shard {
    /// Whether a runner holds it, or has not stopped yet.
    pub fn is_open(&self) -> bool {
        self.end.is_none() && self.stop.is_none()
    }
}

impl Run {
    /// A run that waits for its runners.
    pub fn queued(shards: usize, fail_fast: Option<u32>) -> Self {
        Self {
            state: State::Queued,
            end: None,
            stop: None,
            is_killed: false,
            is_overdue: false,
            fail_fast,
            shards: vec![None; shards],
        }
    }

    /// Its shards that a runner has claimed.
    pub fn claimed(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().flatten()
    }

    /// How many shards a runner holds, or has not stopped.
    pub fn open_shards(&self) -> usize {
        self.claimed().filter(|shard| shard.is_open()).count()
    }

    /// How many shards have ended or broken.
    pub fn finished_shards(&self) -> usize {
        self.claimed().filter(|shard| shard.end.is_some()).count()
    }

    /// How many tests have failed, over all shards.
    pub fn failed_tests(&self) -> u32 {
        self.claimed().map(|shard| shard.failed).sum()
    }

    /// The shard of this number, if a runner has claimed it.
    pub fn shard(&self, number: usize) -> Option<&Shard> {
        self.shards.get(number.checked_sub(1)?)?.as_ref()
    }

    fn shard_mut(&mut self, number: usize) -> Option<&mut Shard> {
        self.shards.get_mut(number.checked_sub(1)?)?.as_mut()
    }

    /// One that nobody has, or whose runner has not been heard of for too long.
    fn claim(&mut self, number: usize) -> bool {
        let may_start = matches!(self.state, State::Queued | State::Started);
        match number.checked_sub(1).and_then(|index| self.shards.get_mut(index)) {
            Some(place) if may_start && place.is_none_or(|shard| shard.is_open() && !shard.is_heard) => {
                *place = Some(Shard { end: None, stop: None, failed: 0, is_heard: true, has_late_result: false });
                self.state = State::Started;
                true
            }
            _ => false,
        }
    }

    fn heartbeat(&mut self, number: usize, failed: u32) -> bool {
        let is_believed = self.state == State::Started || (self.state == State::Cancelled && !self.is_overdue);
        match self.shard_mut(number) {
            Some(shard) if is_believed && shard.is_open() => {
                shard.is_heard = true;
                // Of two heartbeats that overtook each other, the one that knows more.
                shard.failed = shard.failed.max(failed);
                self.fail_fast();
                true
            }
            _ => false,
        }
    }

    /// In a run that goes on, the shard's end; in one that was cancelled, the confirmation that its runner has stopped.
    fn finish(&mut self, number: usize, end: End, failed: u32, stop: ConfirmedStop) -> bool {
        let state = self.state;
        match self.shard_mut(number) {
            Some(shard) if state == State::Started && shard.is_open() => {
                (shard.end, shard.failed, shard.is_heard) = (Some(end), failed, true);
                if self.finished_shards() == self.shards.len() {
                    self.end();
                } else {
                    self.fail_fast();
                }
                true
            }
            Some(shard) if state == State::Cancelled && shard.is_open() => {
                shard.stop = Some(match stop {
                    ConfirmedStop::Graceful => StopOutcome::Graceful,
                    ConfirmedStop::Terminated => StopOutcome::Terminated,
                    ConfirmedStop::Killed => StopOutcome::Killed,
                });
                self.close_stop();
                true
            }
            Some(shard) if shard.stop == Some(StopOutcome::Lost) && !shard.has_late_result => {
                shard.has_late_result = true;
                true
            }
            _ => false,
        }
    }

    /// Every shard is finished: broken if one broke, with the code of the first that did; else failed if one failed.
    fn end(&mut self) {
        let ends: Vec<End> = self.claimed().filter_map(|shard| shard.end).collect();
        let end = match ends.iter().find(|end| end.is_err()) {
            Some(broken) => *broken,
            None if ends.contains(&Ok(RunResult::Failed)) => Ok(RunResult::Failed),
            None => Ok(RunResult::Passed),
        };
        self.state = if end.is_ok() { State::Ended } else { State::Error };
        self.end = Some(end);
    }

    /// As soon as enough tests have failed, the others need not go on.
    fn fail_fast(&mut self) {
        if self.state == State::Started && self.fail_fast.is_some_and(|most| self.failed_tests() >= most) {
            self.cancel();
        }
    }

    fn cancel(&mut self) -> bool {
        if self.state.is_over() {
            return false;
        }
        self.state = State::Cancelled;
        self.stop = Some(if self.open_shards() > 0 { StopOutcome::Stopping } else { StopOutcome::NeverStarted });
        true
    }

    fn kill(&mut self) -> bool {
        let may = self.stop == Some(StopOutcome::Stopping) && !self.is_killed;
        self.is_killed |= may;
        may
    }

    fn silence(&mut self) -> bool {
        self.is_overdue = self.state == State::Cancelled;
        for shard in self.shards.iter_mut().flatten() {
            shard.is_heard = false;
        }
        true
    }

    fn sweep(&mut self, timeout: Timeout) -> bool {
        let is_started = self.state == State::Started;
        match timeout {
            Timeout::Unclaimed => self.state == State::Queued && self.cancel(),
            // One that was heard of, even if it has finished since, keeps the run open for the others.
            Timeout::Lapsed => {
                let is_lapsed = is_started && self.open_shards() > 0 && self.claimed().all(|shard| !shard.is_heard);
                is_lapsed && self.cancel() && self.give_up()
            }
            Timeout::Incomplete => is_started && self.open_shards() == 0 && self.cancel(),
            Timeout::OverAge => is_started && self.cancel(),
            Timeout::Unconfirmed => self.stop == Some(StopOutcome::Stopping) && self.give_up(),
        }
    }

    /// The runners that have not been heard of are lost. Says whether there were any.
    fn give_up(&mut self) -> bool {
        let mut lost = 0;
        for shard in self.shards.iter_mut().flatten().filter(|shard| shard.is_open() && !shard.is_heard) {
            shard.stop = Some(StopOutcome::Lost);
            lost += 1;
        }
        self.close_stop();
        lost > 0
    }

    /// The stop record closes when every runner has stopped or is lost, with the worst of them. ([`StopOutcome`] is in that
    /// order.)
    fn close_stop(&mut self) {
        if self.open_shards() == 0 {
            self.stop = self.claimed().filter_map(|shard| shard.stop).max();
        }
    }
}

#[cfg(test)]
mod tests {
    use estop_protocol::run::Finish;

    use super::*;

    /// The event of the machine without shards that `event`, of the only shard, is.
    fn without_shards(event: Event) -> Option<super::super::Event> {
        match event {
            Event::Claim { .. } => Some(super::super::Event::Claim),
            Event::Heartbeat { .. } => Some(super::super::Event::Heartbeat),
            Event::Finish { end: Ok(_), .. } => Some(super::super::Event::Finish(Finish::Ended)),
            Event::Finish { end: Err(_), .. } => Some(super::super::Event::Finish(Finish::Error)),
            Event::Cancel => Some(super::super::Event::Cancel),
            Event::Sweep(timeout) => Some(super::super::Event::Sweep(timeout)),
            Event::Kill | Event::Silence => None,
        }
    }

    const PASSED: End = Ok(RunResult::Passed);

    fn finish(shard: usize, end: End, stop: ConfirmedStop) -> Event {
        Event::Finish { shard, end, failed: 0, stop }
    }

    /// `run` after all of `events`, each of which takes.
    fn through(run: Run, events: &[Event]) -> Run {
        events.iter().fold(run, |run, event| after(&run, *event).unwrap_or_else(|| panic!("{event:?} in {run:?}")))
    }

    #[test]
    fn a_run_of_one_shard_does_what_the_machine_without_shards_says() {
        let claim = Event::Claim { shard: 1 };
        let events = [
            claim,
            Event::Heartbeat { shard: 1, failed: 0 },
            finish(1, PASSED, ConfirmedStop::Killed),
            finish(1, Err(ErrorCode::RunFailedWithError), ConfirmedStop::Graceful),
            Event::Cancel,
            Event::Sweep(Timeout::Unclaimed),
            Event::Sweep(Timeout::Lapsed),
            Event::Sweep(Timeout::OverAge),
        ];
        let starts: [&[Event]; 5] = [&[], &[claim], &[claim, events[2]], &[claim, events[3]], &[claim, Event::Cancel]];
        for start in starts {
            // The machine without shards knows no time: every timeout has passed, and a claim is of a runner that lives.
            let run = through(Run::queued(1, None), start);
            for event in events {
                let run =
                    if let Event::Sweep(_) = event { through(run.clone(), &[Event::Silence]) } else { run.clone() };
                let expected = without_shards(event).and_then(|event| super::super::after(run.state, event));
                let state = after(&run, event).map(|run| run.state);
                assert_eq!(state.filter(|state| *state != run.state), expected.filter(|state| *state != run.state));
            }
        }
    }

    #[test]
    fn a_stop_is_as_bad_as_its_worst_shard_and_closes_with_the_last() {
        let run = through(
            Run::queued(3, None),
            &[
                Event::Claim { shard: 1 },
                Event::Claim { shard: 2 },
                Event::Cancel,
                finish(2, PASSED, ConfirmedStop::Killed),
            ],
        );
        assert_eq!(run.stop, Some(StopOutcome::Stopping));
        assert_eq!(through(run, &[finish(1, PASSED, ConfirmedStop::Graceful)]).stop, Some(StopOutcome::Killed));
    }

    #[test]
    fn one_shard_that_lives_keeps_the_run_of_the_others() {
        let run = through(
            Run::queued(2, None),
            &[
                Event::Claim { shard: 1 },
                Event::Claim { shard: 2 },
                Event::Silence,
                Event::Heartbeat { shard: 2, failed: 0 },
            ],
        );
        assert_eq!(after(&run, Event::Sweep(Timeout::Lapsed)), None);
        let run = through(run, &[Event::Silence, Event::Sweep(Timeout::Lapsed)]);
        assert_eq!((run.state, run.stop), (State::Cancelled, Some(StopOutcome::Lost)));
    }
}
