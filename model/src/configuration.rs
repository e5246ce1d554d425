//! What is explored: how many runs, shards and runners, and how many faults.

use std::fmt;

use crate::guards::Guards;

/// The most runs, shards and runners.
pub const RUNS: usize = 2;
pub const SHARDS: usize = 4;
pub const RUNNERS: usize = 4;

/// What the second run does to the first, which is in the same concurrency group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// `cancel_previous`: takes its place.
    CancelPrevious,
    /// `queue_new`: waits as `pending`.
    QueueNew,
    /// `cancel_previous`, and the first is protected: both are `queued`, and one is started at a time.
    Protected,
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
pub struct Configuration {
    pub name: &'static str,
    /// How many runs there are. The second is registered at any time, or never.
    pub runs: usize,
    /// How many shards each has.
    pub shards_of_a_run: usize,
    /// How many runners come for each shard, as when a CI system runs a job again that still runs.
    pub runners_of_a_shard: usize,
    pub behaviour: Behaviour,
    /// Whether the runners are `--exclusive`.
    pub exclusive: bool,
    /// Whether someone may order SIGKILL.
    pub kill: bool,
    /// Whether someone watches the first run.
    pub watcher: bool,
    /// How many faults there are at most.
    pub faults: u8,
    /// Whether answers may be slow without that being a fault.
    pub slow_answers: bool,
    /// Whether to look for what the protocol does not promise ([`crate::properties`]).
    pub limits: bool,
    /// Whether machines may stand still as a whole, clock included.
    pub machines_pause: bool,
    pub guards: Guards,
}

impl Configuration {
    const BASE: Self = Self {
        name: "",
        runs: 1,
        shards_of_a_run: 1,
        runners_of_a_shard: 1,
        behaviour: Behaviour::CancelPrevious,
        exclusive: true,
        kill: false,
        watcher: false,
        faults: 1,
        slow_answers: false,
        limits: false,
        machines_pause: false,
        guards: Guards::ALL,
    };

    /// One run of two shards, which is cancelled and killed.
    pub const TWO_SHARDS: Self =
        Self { name: "two shards, killed", shards_of_a_run: 2, exclusive: false, kill: true, ..Self::BASE };

    /// One run of one shard, which is cancelled and killed.
    pub const ONE_SHARD: Self = Self { name: "one shard, killed", kill: true, exclusive: false, ..Self::BASE };

    /// One shard for which two runners come.
    pub const TWO_RUNNERS: Self = Self { name: "two runners of one shard", runners_of_a_shard: 2, ..Self::BASE };

    /// A run that takes another's place.
    pub const SUPERSEDING: Self = Self { name: "two runs, cancel_previous", runs: 2, ..Self::BASE };

    /// A run that waits for another.
    pub const QUEUEING: Self =
        Self { name: "two runs, queue_new", runs: 2, behaviour: Behaviour::QueueNew, ..Self::BASE };

    /// Two runs that may both start.
    pub const PROTECTED: Self =
        Self { name: "two runs, one protected", runs: 2, behaviour: Behaviour::Protected, ..Self::BASE };

    /// A run that someone watches.
    pub const WATCHED: Self = Self { name: "one shard, watched", watcher: true, kill: true, ..Self::BASE };

    /// All of it: two runs of two shards each.
    pub const FULL: Self =
        Self { name: "two runs of two shards, cancel_previous", shards_of_a_run: 2, ..Self::SUPERSEDING };

    /// The same, and the second waits.
    pub const FULL_QUEUEING: Self =
        Self { name: "two runs of two shards, queue_new", behaviour: Behaviour::QueueNew, ..Self::FULL };

    /// Slow answers are no fault.
    /// The same, and both may start.
    pub const FULL_PROTECTED: Self =
        Self { name: "two runs of two shards, one protected", behaviour: Behaviour::Protected, ..Self::FULL };

    #[must_use]
    pub const fn with_slow_answers(self) -> Self {
        Self { slow_answers: true, ..self }
    }

    #[must_use]
    pub const fn with_faults(self, faults: u8) -> Self {
        Self { faults, ..self }
    }

    #[must_use]
    pub const fn with_guards(self, guards: Guards) -> Self {
        Self { guards, ..self }
    }

    /// How many shards there are, over all runs. They are numbered through, and so are the runners.
    pub fn shards(&self) -> usize {
        self.runs * self.shards_of_a_run
    }

    pub fn runners(&self) -> usize {
        self.shards() * self.runners_of_a_shard
    }

    pub fn shards_of(&self, run: usize) -> std::ops::Range<usize> {
        run * self.shards_of_a_run..(run + 1) * self.shards_of_a_run
    }

    pub fn run_of(&self, shard: usize) -> usize {
        shard / self.shards_of_a_run
    }

    pub fn shard_of(&self, runner: usize) -> usize {
        runner / self.runners_of_a_shard
    }

    pub fn run_of_runner(&self, runner: usize) -> usize {
        self.run_of(self.shard_of(runner))
    }

    pub fn runners_of(&self, run: usize) -> std::ops::Range<usize> {
        let shards = self.shards_of(run);
        shards.start * self.runners_of_a_shard..shards.end * self.runners_of_a_shard
    }

    /// The other run of the concurrency group, if there is one.
    pub fn other(&self, run: usize) -> Option<usize> {
        (self.runs == RUNS).then_some(1 - run)
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slow = if self.slow_answers { ", slow answers" } else { "" };
        write!(f, "{}{slow}, {} fault{}", self.name, self.faults, if self.faults == 1 { "" } else { "s" })
    }
}
