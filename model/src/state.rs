//! All that there is at a moment: the service's record, the runners, what is under way between them, and the faults that may
//! still come.

use crate::configuration::{Configuration, RUNNERS, RUNS, SHARDS};
use crate::settings::{Moment, NOW, Ticks};

/// The state of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// The record: D1. It alone decides.
    pub runs: [Run; RUNS],
    pub shards: [Shard; SHARDS],
    pub runners: [Runner; RUNNERS],
    /// D1 or the Worker cannot be reached by anyone.
    pub service_is_down: bool,
    pub watcher: Watcher,
    pub faults_left: u8,
    /// What must never happen, noticed where it does.
    pub broken: Broken,
}

/// A row of `runs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Run {
    pub state: RunState,
    pub stop: Stop,
    /// `kill_at`.
    pub is_killed: bool,
    /// How long ago `cancelled_at` is. It counts up to `STOP_LIMIT`, and while the stop record is open.
    pub cancelled_ago: Ticks,
    /// For how long the stop record has been open while the service worked. For a property; nothing depends on it.
    pub stop_open_for: Ticks,
    /// Someone cancelled it, the cancel took, and its answer was lost: it is asked again, with the same write id.
    pub cancel_is_unanswered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum RunState {
    #[default]
    Unregistered,
    Pending,
    Queued,
    Started,
    /// `ended` or `error`.
    Ended,
    Cancelled,
}

/// `stop_outcome` of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stop {
    #[default]
    None,
    NeverStarted,
    Stopping,
    /// And `stop_closed_at` is set.
    Closed(Outcome),
}

/// `stop_outcome` of a shard, and of a run that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// `graceful`, `terminated` or `killed`: the runner said so.
    Confirmed,
    Lost,
}

/// A row of `run_shards`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Shard {
    pub state: ShardState,
    /// Whose `lease_token` it is.
    pub holder: Holder,
    /// `lease_expires_at` or, once it is finished, `ended_at`.
    pub live_until: Moment,
    /// `late_result IS NOT NULL`.
    pub has_late_result: bool,
    /// A heartbeat brought the order. Only used where heartbeats do not bring it every time.
    pub is_told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ShardState {
    /// There is no row.
    #[default]
    Unclaimed,
    /// `started`.
    Open,
    /// `ended` or `error`.
    Finished,
    /// `cancelled`.
    Stopped(Outcome),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Holder {
    #[default]
    None,
    Runner(u8),
    /// A late claim got a token that reached no runner.
    Nobody,
}

/// `estop run` on a machine of its own, and its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Runner {
    pub phase: Phase,
    /// Until when its lease lasts by what it knows.
    pub lease_until: Moment,
    /// When it sends its next heartbeat, asks for its turn again, or tries again to finish; `NEVER` if it does not.
    pub due: Ticks,
    /// A stop order or one to kill reached it, by whatever way.
    pub heard: Order,
    /// In how many ticks the stop will have ended.
    pub stop_due: Ticks,
    /// For how long it has been stopping. For a property.
    pub stopping_for: Ticks,
    /// The stop takes longer than it should.
    pub hangs: bool,
    pub socket: Socket,
    /// Stop orders that the hub has sent to it.
    pub stops: Messages,
    /// Orders to kill that the hub has sent to it.
    pub kills: Messages,
    /// An answer of the service that is slow.
    pub answer: Option<Answer>,
    /// Requests that come late or twice, each after the runner has gone on without its answer.
    pub late_claim: bool,
    pub late_heartbeat: bool,
    pub late_finish: bool,
    /// Its network is down.
    pub is_cut_off: bool,
    /// The machine stands still, its clock included.
    pub is_paused: bool,
    /// For how long it could have known what the record says, and does not. For a property.
    pub uninformed_for: Ticks,
}

/// See [`Runner::due`].
pub const NEVER: Ticks = Ticks::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Phase {
    /// Its job has not begun.
    #[default]
    Idle,
    /// It asks for its shard.
    Waiting,
    /// The command runs.
    Running,
    /// The command is being stopped, and runs until that is over.
    Stopping,
    /// The command has ended, and the service is to be told.
    Finishing,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Order {
    #[default]
    None,
    Stop,
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Socket {
    #[default]
    Closed,
    Open,
    /// Nothing comes through any more, and the runner has not noticed, for so long.
    Dead(Ticks),
}

/// Push messages of one kind on their way to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Messages {
    /// That arrive before the next tick.
    pub prompt: u8,
    /// That arrive at any time.
    pub late: u8,
}

/// An answer of the service to a claim or a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answer {
    /// How long ago the request was sent.
    pub sent_ago: Ticks,
    pub says: Says,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Says {
    /// 200 to a claim: the lease's end.
    Claimed(Moment),
    /// 412 with `Retry-After`: not yet.
    Waits,
    /// 412: over, or someone else's.
    Refused,
    /// 200 to a heartbeat: the lease's end.
    Continue(Moment),
    /// 200 to a heartbeat, with `stop`, and `kill` in it or not.
    Stop(Order),
    /// 409.
    LeaseLost,
}

/// Someone who follows the first run by the hub's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Watcher {
    /// `runs.version` in the record.
    pub version: u8,
    /// The version that it shows.
    pub shows: u8,
    /// Messages on their way, a bit for each version.
    pub prompt: u16,
    pub late: u16,
    pub lists_anew_in: Ticks,
    /// What the list on its way says.
    pub listed: Option<u8>,
    /// For how long there has been a change that it does not show. For a property.
    pub outdated_for: Ticks,
    /// It has gone back to an older version. For a property.
    pub went_back: bool,
}

/// What must never happen, noticed where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Broken {
    /// A run that was over changed its state.
    pub decision: bool,
    /// A stop record that was closed changed, or a shard that was.
    pub closed_record: bool,
    /// A runner was given up before the end of its lease.
    pub lost_early: bool,
    /// The answer to a request denied what that very request had done.
    pub answer: bool,
    /// A claim was granted although the run was cancelled. Only noticed where limits are looked for.
    pub claim_of_cancelled: bool,
}

impl State {
    /// Where it begins: the first run is registered, and the machines stand ready.
    pub fn start(configuration: &Configuration) -> Self {
        let mut state = Self {
            runs: [Run::default(); RUNS],
            shards: [Shard::default(); SHARDS],
            runners: [Runner::default(); RUNNERS],
            service_is_down: false,
            watcher: Watcher::default(),
            faults_left: configuration.faults,
            broken: Broken::default(),
        };
        state.runs[0].state = RunState::Queued;
        state
    }
}

impl Run {
    /// `open_state IS NOT NULL`.
    pub fn is_open(&self) -> bool {
        matches!(self.state, RunState::Pending | RunState::Queued | RunState::Started)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, RunState::Ended | RunState::Cancelled)
    }

    /// `held_group IS NOT NULL`.
    pub fn holds_its_group(&self) -> bool {
        self.state == RunState::Started || self.stop == Stop::Stopping
    }

    /// `active_group IS NOT NULL`.
    pub fn is_active(&self) -> bool {
        self.is_open() || self.stop == Stop::Stopping
    }

    /// The order that a heartbeat's answer carries.
    pub fn order(&self) -> Order {
        match (self.state, self.is_killed) {
            (RunState::Cancelled, false) => Order::Stop,
            (RunState::Cancelled, true) => Order::Kill,
            _ => Order::None,
        }
    }
}

impl Shard {
    pub fn is_open(&self) -> bool {
        self.state == ShardState::Open
    }

    pub fn is_held_by(&self, runner: usize) -> bool {
        self.holder == Holder::Runner(runner as u8)
    }

    pub fn close(&mut self, outcome: Outcome) {
        self.state = ShardState::Stopped(outcome);
        self.live_until = NOW;
        self.is_told = false;
    }
}

impl Runner {
    /// Whether its command has processes.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Stopping)
    }

    /// Whether it sends heartbeats.
    pub fn sends_heartbeats(&self) -> bool {
        self.is_live() && self.due != NEVER
    }

    /// Nothing of it is left but what it has sent.
    pub fn leave(&mut self) {
        *self = Self {
            phase: Phase::Gone,
            late_claim: self.late_claim,
            late_heartbeat: self.late_heartbeat,
            late_finish: self.late_finish,
            ..Self::default()
        };
    }
}

impl Messages {
    pub const NONE: Self = Self { prompt: 0, late: 0 };

    pub fn any(self) -> bool {
        self.prompt > 0 || self.late > 0
    }

    /// One more, as far as more of the same make a difference.
    pub fn add(&mut self) {
        self.prompt = (self.prompt + 1).min(2);
    }
}
