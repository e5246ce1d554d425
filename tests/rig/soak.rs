//! Races: everything that can end or take a run or a shard of it, fired at once over HTTP, while the database answers in
//! any order and now and then loses an answer. `ESTOP_SOAK_RUNS` sets how many runs, `ESTOP_SOAK_SEED` the seed.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::Fault;
use crate::client::{Answer, Project};
use crate::history;
use crate::random::{Random, setting};
use crate::shards;
use crate::verdict;
use crate::watcher::Watcher;
use crate::workerd::Rig;

/// One thing that somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    Cancel,
    Kill,
    /// Registers for the run's group, as a job of this attempt.
    Join {
        attempt: i64,
    },
    Claim {
        shard: i64,
    },
    /// With the shard's lease, or with somebody else's.
    Finish {
        shard: i64,
        own: bool,
        failed: i64,
        broke: bool,
    },
    /// With so many tests that have failed so far.
    Heartbeat {
        shard: i64,
        failed: Option<i64>,
    },
    /// The sweeper, as if it were so many milliseconds after the run was registered.
    Tick {
        after: i64,
    },
}

/// When a lease has run out that had run out before the race, and no other.
const SOON: i64 = 60_000;
/// When every lease has.
pub const LATE: i64 = 3_600_000;
/// When every timeout that there is has run out.
pub const LAST: i64 = 7 * LATE;

impl Try {
    fn any(random: &mut Random, shards: i64) -> Self {
        let shard = 1 + random.number(shards);
        let failed = random.number(3);
        match random.below(16) {
            0 | 1 => Try::Cancel,
            2 => Try::Kill,
            3 => Try::Join { attempt: 1 + random.number(2) },
            4 | 5 => Try::Claim { shard },
            6 => Try::Finish { shard, own: false, failed, broke: false },
            7..=10 => Try::Finish { shard, own: true, failed: failed / 2, broke: random.below(6) == 0 },
            11..=13 => Try::Heartbeat { shard, failed: (random.below(2) == 0).then_some(failed) },
            _ => {
                Try::Tick { after: [0, SOON, SOON, SOON, LATE, LAST][usize::try_from(random.below(6)).expect("small")] }
            }
        }
    }

    /// How its runner stopped, if the run is cancelled before it finishes: another one from each.
    pub fn stopped(n: usize) -> &'static str {
        ["graceful", "terminated", "killed"][n % 3]
    }
}

/// Where a shard is before the race.
#[derive(Debug)]
pub enum Shard {
    Unclaimed,
    /// A runner holds it by this lease.
    Held(String),
    /// The same, but the lease has run out: another may claim it.
    Lapsed(String),
}

/// A run that is raced for.
#[derive(Debug)]
pub struct Raced {
    pub id: i64,
    pub group: String,
    /// From the first on.
    pub shards: Vec<Shard>,
    /// Whether answers of the database are lost.
    pub faulty: bool,
}

impl Raced {
    fn any(rig: &Rig, project: &Project, random: &mut Random, round: u64) -> Self {
        let group = format!("soak {round}");
        let total = 1 + random.number(3);
        let mut body = json!({"environment": "staging", "group": group, "total_shards": total, "attempt": 1});
        if random.below(2) == 0 {
            body["fail_fast"] = json!(2);
        }
        let id = shards::register(project, &body);
        let claim = |shard| match random.below(7) {
            0 | 1 => Shard::Unclaimed,
            2 | 3 => {
                let lease = shards::claim(project, id, shard);
                rig.backend.sql(&format!(
                    "UPDATE run_shards SET lease_renewed_at = started_at, lease_expires_at = started_at \
                     WHERE run_id = {id} AND shard = {shard}"
                ));
                Shard::Lapsed(lease)
            }
            _ => Shard::Held(shards::claim(project, id, shard)),
        };
        let shards = (1..=total).map(claim).collect();
        Self { id, group, shards, faulty: random.below(3) == 0 }
    }

    pub fn shard(&self, shard: i64) -> &Shard {
        &self.shards[usize::try_from(shard - 1).expect("from 1 on")]
    }

    /// The lease of a shard's runner. One that has none sends what could be one.
    fn lease(&self, shard: i64) -> String {
        match self.shard(shard) {
            Shard::Unclaimed => format!("00.{shard}.nobodys"),
            Shard::Held(lease) | Shard::Lapsed(lease) => lease.clone(),
        }
    }

    /// Fires all at once; one answer each, but for ticks.
    fn race(&self, rig: &Rig, project: &Project, tries: &[Try]) -> Vec<Option<Answer>> {
        let born: i64 = rig.backend.value(&format!("SELECT created_at FROM runs WHERE id = {}", self.id));
        let start = Barrier::new(tries.len());
        std::thread::scope(|scope| {
            let threads: Vec<_> = tries
                .iter()
                .enumerate()
                .map(|(n, one)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        match *one {
                            Try::Tick { after } => {
                                rig.tick(born + after);
                                None
                            }
                            _ => Some(self.send(project, n, *one)),
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
        })
    }

    fn send(&self, project: &Project, n: usize, one: Try) -> Answer {
        let post = |verb: &str, body: Value| project.post(&format!("/api/test-runs/{}/{verb}", self.id), &body);
        // The total tells whose it is.
        let counts =
            |failed: i64| json!({"total": n, "success": 1, "failed": failed, "skipped": n % 2, "flaky": n % 3});
        match one {
            Try::Cancel => post("cancel", json!({"reason": format!("try {n}")})),
            Try::Kill => post("kill", json!({})),
            Try::Join { attempt } => {
                let total = self.shards.len();
                let body =
                    json!({"environment": "staging", "group": self.group, "total_shards": total, "attempt": attempt});
                project.call("PUT", "/api/test-runs", Some(&body))
            }
            Try::Claim { shard } => post("claim", json!({"runner": format!("try {n}"), "shard": shard})),
            Try::Finish { shard, own, failed, broke } => {
                let lease = if own { self.lease(shard) } else { format!("00.{shard}.somebody-elses") };
                let stop = json!({"outcome": Try::stopped(n)});
                let mut body = json!({"lease": lease, "state": "ended", "counts": counts(failed), "stop": stop});
                if broke {
                    body["state"] = json!("error");
                    body["error_code"] = json!("run_failed_with_error");
                } else {
                    body["result"] = json!(if failed > 0 { "failed" } else { "passed" });
                }
                post("finish", body)
            }
            Try::Heartbeat { shard, failed } => {
                post("heartbeat", json!({"lease": self.lease(shard), "counts": failed.map(counts)}))
            }
            Try::Tick { .. } => unreachable!("it is not sent"),
        }
    }
}

#[test]
fn a_run_that_everybody_pulls_at_ends_once_and_each_is_told_the_truth() {
    let (runs, seed) = (setting("ESTOP_SOAK_RUNS", 300), setting("ESTOP_SOAK_SEED", 4));
    let rig = Rig::start();
    let project = rig.project();
    rig.backend.dawdle(Duration::from_millis(3));
    let watcher = Watcher::of(&project);
    let mut random = Random(seed);
    let mut ends = BTreeMap::<String, u32>::new();
    for round in 0..runs {
        let raced = Raced::any(&rig, &project, &mut random, round);
        let total = i64::try_from(raced.shards.len()).expect("few");
        let count = 2 + 2 * total + random.number(6);
        let tries: Vec<Try> = (0..count).map(|_| Try::any(&mut random, total)).collect();
        if raced.faulty {
            rig.backend
                .inject([Fault::ErrorAfter("Network connection lost."), Fault::ClosedAfter][(round % 2) as usize], 2);
        }
        let answers = raced.race(&rig, &project, &tries);
        rig.backend.heal();
        assert_eq!(history::contradictions(&rig.backend.db()), [""; 0], "{raced:?}: {tries:?} {answers:#?}");
        *ends.entry(verdict::check(&rig, &raced, &tries, &answers)).or_default() += 1;
    }
    history::folds(&rig.backend.db(), "true");
    let last = watcher.agrees(&rig.backend.db());
    println!("soak: {runs} runs from seed {seed}, over as {ends:?}; a watcher has heard the last of {last}");
    // A change whose answer was lost is told to nobody, and neither is one that was made in the database by hand.
    assert!(u64::try_from(last).expect("few") >= runs / 2, "a watcher has heard the last of {last} runs alone");
    // Otherwise nothing was raced for.
    assert!(runs < 100 || ends.len() >= 10, "{ends:?}");
}
