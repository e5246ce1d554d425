//! Random sequences of events over runs with 1 to 4 shards, held against `run::shards`, the pure machine.
//!
//! `ESTOP_MODEL_SEQUENCES` and `ESTOP_MODEL_SEED` choose how many, and which.

use std::collections::HashMap;
use std::rc::Rc;

use estop::http::reply::Reply;
use estop::operations::{cancel, claim, finish, heartbeat, kill};
use estop::run::Timeout;
use estop::run::shards::{End, Event, Run, Shard, after};
use estop_protocol::run::{ConfirmedStop, ErrorCode, RunResult, State, StopOutcome};
use serde_json::{Value as Json, json};

use crate::random::{Random, setting};
use crate::world::{LEASE, World, data};

/// The service beside the pure machine.
#[derive(Clone)]
pub struct Pair {
    world: Rc<World>,
    id: i64,
    pub run: Run,
    /// The lease of each shard's runner, which was the last to claim it.
    leases: HashMap<usize, String>,
}

impl Pair {
    /// A run that waits for its runners.
    pub fn new(shards: usize, fail_fast: Option<u32>) -> Self {
        // Some ten thousand answers like those of the other tests.
        let mut world = World { holds_to_contract: false, ..World::new() };
        // What a silence lasts longer than.
        world.config.stop_limit = LEASE;
        let mut body = json!({"environment": "staging", "total_shards": shards});
        if let Some(fail_fast) = fail_fast {
            body["fail_fast"] = json!(fail_fast);
        }
        let id = world.register(&body);
        Self { world: Rc::new(world), id, run: Run::queued(shards, fail_fast), leases: HashMap::new() }
    }

    /// Does `what` with a copy, and undoes it.
    pub fn undone(&self, what: impl FnOnce(Self)) {
        self.world.undone(|| what(self.clone()));
    }

    /// Lets `event` happen to both, and compares what is answered and what has become of the run.
    pub fn step(&mut self, event: Event, what: &str) {
        let before = self.run.clone();
        let writes = self.writes();
        let next = after(&before, event);
        self.world.pass(1);
        let took = self.send(event);
        assert_eq!(took, is_accepted(&before, event, next.is_some()), "{event:?} of {what}");
        if next.is_none() {
            assert_eq!(self.writes(), writes, "refused, so nothing is written: {event:?} of {what}");
        }
        self.run = next.unwrap_or(before);
        self.check(&format!("{event:?} of {what}"));
    }

    /// Lets `event` happen to the service; says whether it took.
    fn send(&mut self, event: Event) -> bool {
        let Self { world, id, leases, .. } = self;
        let lease = |shard: usize| leases.get(&shard).map_or("nobody's", String::as_str);
        let reply = match event {
            Event::Claim { shard } => world.ask(&claim::OPERATION, *id, &json!({"shard": shard})),
            Event::Heartbeat { shard, failed } => {
                let body = json!({"lease": lease(shard), "counts": {"failed": failed}});
                world.ask(&heartbeat::OPERATION, *id, &body)
            }
            Event::Finish { shard, end, failed, stop } => {
                world.ask(&finish::OPERATION, *id, &finish_body(lease(shard), end, failed, stop))
            }
            Event::Cancel => world.ask(&cancel::OPERATION, *id, &json!({})),
            Event::Kill => world.ask(&kill::OPERATION, *id, &json!({})),
            Event::Silence => {
                world.pass(LEASE + world.config.lapsed_after.max(world.config.unconfirmed_after));
                return true;
            }
            Event::Sweep(timeout) => {
                let span = match timeout {
                    Timeout::Lapsed | Timeout::Unconfirmed => world.config.timeout(timeout),
                    Timeout::Unclaimed | Timeout::Incomplete | Timeout::OverAge => 0,
                };
                return world.sweep_at(timeout, world.now.get(), span).contains(id);
            }
        };
        assert!(matches!(reply.status, 200 | 400 | 409 | 412), "{reply:?}");
        if let (Event::Claim { shard }, "claimed") = (event, reply.outcome) {
            self.leases.insert(shard, token(&reply));
        }
        reply.status == 200
    }

    /// How many rows were ever written.
    fn writes(&self) -> u64 {
        self.world.runtime.db.borrow().total_changes()
    }

    /// Checks that the database says what the machine says.
    fn check(&self, what: &str) {
        let db = self.world.runtime.db.borrow();
        let mut select = db
            .prepare_cached(
                "SELECT json_object('state', state, 'end', coalesce(result, error_code), 'stop', stop_outcome,
                            'is_killed', kill_at IS NOT NULL, 'has_late_result', late_at IS NOT NULL,
                            'open_shards', open_shards, 'finished_shards', finished_shards,
                            'last_events', (SELECT count(*) FROM run_events WHERE run_id = runs.id AND step = 4),
                            -- Counted as long as the run goes on.
                            'failed_tests', iif(open_state IS NULL, NULL, failed_tests),
                            'shards', json((SELECT json_group_array(json_object(
                                'shard', shard, 'state', state, 'end', coalesce(result, error_code), 'stop', stop_outcome,
                                'failed', failed, 'has_late_result', late_result IS NOT NULL))
                              FROM (SELECT * FROM run_shards WHERE run_id = runs.id ORDER BY shard))))
                   FROM runs WHERE id = ?1",
            )
            .expect("SQL");
        let found: String = select.query_row([self.id], |row| row.get(0)).expect("the run");
        let found: Json = serde_json::from_str(&found).expect("JSON");
        assert_eq!(found, described(&self.run), "{what}");
    }
}

fn token(reply: &Reply) -> String {
    data(reply)["lease"]["token"].as_str().expect("a token").to_owned()
}

fn finish_body(lease: &str, end: End, failed: u32, stop: ConfirmedStop) -> Json {
    let mut body = json!({"lease": lease, "counts": {"failed": failed}, "stop": {"outcome": stop.name()}});
    match end {
        Ok(result) => (body["state"], body["result"]) = ("ended".into(), result.name().into()),
        Err(code) => (body["state"], body["error_code"]) = ("error".into(), code.name().into()),
    }
    body
}

/// Whether the answer to `event` is 200.
fn is_accepted(before: &Run, event: Event, took: bool) -> bool {
    match event {
        // Whoever holds the shard, or was given up, is told how it stands.
        Event::Heartbeat { shard, .. } => {
            before.shard(shard).is_some_and(|shard| shard.is_open() || shard.stop == Some(StopOutcome::Lost))
        }
        // One that only confirms a stop, or comes too late, is answered with the cancel.
        Event::Finish { .. } => took && before.state == State::Started,
        // A second order adds nothing to the first.
        Event::Kill => before.stop == Some(StopOutcome::Stopping),
        _ => took,
    }
}

/// A run as the database has it.
fn described(run: &Run) -> Json {
    let name = |end: Option<End>| end.map(|end| end.map_or_else(ErrorCode::name, RunResult::name));
    let state = |shard: &Shard| match (shard.end, shard.stop) {
        (Some(Ok(_)), _) => "ended",
        (Some(Err(_)), _) => "error",
        (None, Some(_)) => "cancelled",
        (None, None) => "started",
    };
    let shards: Vec<Json> = (1..)
        .zip(&run.shards)
        .filter_map(|(number, shard)| Some((number, shard.as_ref()?)))
        .map(|(number, shard): (usize, &Shard)| {
            json!({"shard": number, "state": state(shard), "end": name(shard.end), "stop": shard.stop,
                   "failed": shard.failed, "has_late_result": i32::from(shard.has_late_result)})
        })
        .collect();
    let has_late_result = run.claimed().any(|shard| shard.has_late_result);
    json!({"state": run.state, "end": name(run.end), "stop": run.stop, "is_killed": i32::from(run.is_killed),
           "has_late_result": i32::from(has_late_result), "open_shards": run.open_shards(),
           "finished_shards": run.finished_shards(), "last_events": i32::from(run.state.is_over()),
           "failed_tests": (!run.state.is_over()).then(|| run.failed_tests()), "shards": shards})
}

/// One of `choices`.
fn pick<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[usize::try_from(random.below(choices.len() as u64)).expect("an index")]
}

/// Claims, heartbeats and finishes more often than what ends a run, so that runs come far.
fn event(random: &mut Random) -> Event {
    const ENDS: [End; 4] = [
        Ok(RunResult::Passed),
        Ok(RunResult::Failed),
        Err(ErrorCode::WorkerInterrupted),
        Err(ErrorCode::MergeConflict),
    ];
    const STOPS: [ConfirmedStop; 3] = [ConfirmedStop::Graceful, ConfirmedStop::Terminated, ConfirmedStop::Killed];
    const TIMEOUTS: [Timeout; 5] =
        [Timeout::Unclaimed, Timeout::Lapsed, Timeout::Incomplete, Timeout::OverAge, Timeout::Unconfirmed];
    let shard = pick(random, &[1, 2, 3, 4]);
    let failed = pick(random, &[0, 0, 1, 2]);
    match random.below(32) {
        0..8 => Event::Claim { shard },
        8..14 => Event::Heartbeat { shard, failed },
        14..22 => Event::Finish { shard, end: pick(random, &ENDS), failed, stop: pick(random, &STOPS) },
        22..24 => Event::Cancel,
        24 => Event::Kill,
        25..28 => Event::Silence,
        // Those that spare no run come seldom, those that wait for a silence often.
        28 => Event::Sweep(pick(random, &TIMEOUTS)),
        29 => Event::Sweep(Timeout::Lapsed),
        _ => Event::Sweep(Timeout::Unconfirmed),
    }
}

#[test]
fn random_sequences_over_shards_agree_with_the_pure_machine() {
    let (sequences, seed) = (setting("ESTOP_MODEL_SEQUENCES", 2000), setting("ESTOP_MODEL_SEED", 14));
    let kinds = (1..=4).flat_map(|shards| [None, Some(3)].map(|fail_fast| Pair::new(shards, fail_fast)));
    let pairs: Vec<Pair> = kinds.collect();
    let count = pairs.len() as u64;
    for sequence in 0..sequences {
        // Each has a seed of its own, so that one alone can be repeated.
        let mut random = Random((seed << 32) + sequence);
        let pair = &pairs[usize::try_from(sequence % count).expect("an index")];
        pair.undone(|mut pair| {
            let mut events = Vec::new();
            for _ in 0..4 + random.below(17) {
                events.push(event(&mut random));
                let event = *events.last().expect("an event");
                let shards = pair.run.shards.len();
                pair.step(event, &format!("seed {seed}, sequence {sequence}, {shards} shards: {events:?}"));
            }
        });
    }
}
