//! The concurrency limits, held against a small reference model through thousands of random sequences.

use estop::run::{Cause, State, StopOutcome};
use estop::store::run::{self as store, ClaimOutcome, RegisterOutcome};
use estop::sweep::tick;
use estop::wire::requests::RegisterRequest;
use pollster::block_on;
use proptest::prelude::*;

use crate::world::{LEASE, MINUTE, Run, STOP_LIMIT, World};

const SCOPES: [&str; 4] = ["none", "project", "environment", "branch_environment"];
const BEHAVIOURS: [&str; 2] = ["cancel_previous", "queue_new"];
const ENVIRONMENTS: [&str; 2] = ["staging", "production"];
const BRANCHES: [&str; 2] = ["main", "feature"];

#[derive(Debug, Clone)]
enum Step {
    Register { environment: usize, branch: usize, protected: bool },
    Claim(usize),
    Heartbeat(usize),
    Finish(usize),
    Cancel(usize),
    Pass(i64),
    Sweep,
    Configure { scope: usize, behaviour: usize },
}

/// A run as the model sees it.
#[derive(Debug, Clone)]
struct Modelled {
    slot: Option<String>,
    state: State,
    stop: Option<StopOutcome>,
    superseded_by: Option<usize>,
    protected: bool,
    waiting_since: i64,
    started_at: i64,
    lease_end: i64,
    cancelled_at: i64,
}

/// What should happen, in plain words: no SQL, no triggers.
#[derive(Debug, Default)]
struct Model {
    scope: usize,
    behaviour: usize,
    now: i64,
    runs: Vec<Modelled>,
}

impl Model {
    fn holds(run: &Modelled) -> bool {
        matches!(run.state, State::Queued | State::Started) || run.stop == Some(StopOutcome::Stopping)
    }

    fn others<'a>(&'a self, slot: &'a str) -> impl Iterator<Item = &'a Modelled> {
        self.runs.iter().filter(move |run| run.slot.as_deref() == Some(slot))
    }

    fn register(&mut self, environment: usize, branch: usize, protected: bool) -> bool {
        let slot = match SCOPES[self.scope] {
            "project" => Some("project".to_owned()),
            "environment" => Some(format!("{environment}")),
            "branch_environment" => Some(format!("{environment} {branch}")),
            _ => None,
        };
        let queues = BEHAVIOURS[self.behaviour] == "queue_new";
        let mut state = State::Queued;
        if let Some(slot) = slot.as_deref().filter(|_| queues) {
            if self.others(slot).any(|run| run.state == State::Pending && run.protected) {
                return false;
            }
            if self.others(slot).any(|run| Self::holds(run) || run.state == State::Pending) {
                state = State::Pending;
            }
        }
        let (now, id) = (self.now, self.runs.len());
        for run in self.runs.iter_mut().filter(|run| slot.is_some() && run.slot == slot && !run.protected) {
            if !run.state.is_over() && (!queues || run.state == State::Pending) {
                run.stop =
                    Some(if run.state == State::Started { StopOutcome::Stopping } else { StopOutcome::NeverStarted });
                run.state = State::Cancelled;
                run.cancelled_at = now;
                run.superseded_by = Some(id);
            }
        }
        self.runs.push(Modelled {
            slot,
            state,
            stop: None,
            superseded_by: None,
            protected,
            waiting_since: now,
            started_at: 0,
            lease_end: 0,
            cancelled_at: 0,
        });
        true
    }

    fn promote(&mut self, slot: Option<String>) {
        let Some(slot) = slot else { return };
        if !self.others(&slot).any(Self::holds) {
            let now = self.now;
            let waiting =
                self.runs.iter_mut().rev().find(|run| run.slot.as_ref() == Some(&slot) && run.state == State::Pending);
            if let Some(run) = waiting {
                run.state = State::Queued;
                run.waiting_since = now;
            }
        }
    }

    fn over(&mut self, i: usize, state: State, stop: Option<StopOutcome>) {
        if !self.runs[i].state.is_over() {
            self.runs[i].cancelled_at = self.now;
        }
        self.runs[i].state = state;
        self.runs[i].stop = stop;
        self.promote(self.runs[i].slot.clone());
    }

    fn cancel(&mut self, i: usize) -> bool {
        let stop = match self.runs[i].state {
            State::Pending | State::Queued => StopOutcome::NeverStarted,
            State::Started => StopOutcome::Stopping,
            _ => return false,
        };
        self.over(i, State::Cancelled, Some(stop));
        true
    }

    fn claim(&mut self, i: usize) -> bool {
        let slot = self.runs[i].slot.clone();
        for j in 0..self.runs.len() {
            let run = &self.runs[j];
            if slot.is_some()
                && run.slot == slot
                && run.stop == Some(StopOutcome::Stopping)
                && run.lease_end <= self.now
            {
                self.over(j, State::Cancelled, Some(StopOutcome::Lost));
            }
        }
        let busy = |run: &Modelled| run.state == State::Started || run.stop == Some(StopOutcome::Stopping);
        if self.runs[i].state != State::Queued || slot.as_deref().is_some_and(|slot| self.others(slot).any(busy)) {
            return false;
        }
        let now = self.now;
        let run = &mut self.runs[i];
        (run.state, run.started_at, run.lease_end) = (State::Started, now, now + LEASE);
        true
    }

    fn heartbeat(&mut self, i: usize) {
        let now = self.now;
        let run = &mut self.runs[i];
        let stopping = run.stop == Some(StopOutcome::Stopping) && run.cancelled_at > now - STOP_LIMIT;
        if (run.state == State::Started || stopping) && run.lease_end < now + LEASE / 2 {
            run.lease_end = now + LEASE;
        }
    }

    fn finish(&mut self, i: usize) {
        match (self.runs[i].state, self.runs[i].stop) {
            (State::Started, _) => self.over(i, State::Ended, None),
            (_, Some(StopOutcome::Stopping)) => self.over(i, State::Cancelled, Some(StopOutcome::Graceful)),
            _ => {}
        }
    }

    fn sweep(&mut self, world: &World) {
        let (now, config) = (self.now, &world.config);
        let due = |model: &Self, test: &dyn Fn(&Modelled) -> bool| -> Vec<usize> {
            (0..model.runs.len()).filter(|i| test(&model.runs[*i])).collect()
        };
        let waits = |run: &Modelled| matches!(run.state, State::Pending | State::Queued);
        for i in due(self, &|run| waits(run) && run.waiting_since <= now - config.unclaimed_after) {
            self.over(i, State::Cancelled, Some(StopOutcome::NeverStarted));
        }
        for i in due(self, &|run| run.state == State::Started && run.lease_end <= now - config.lapsed_after) {
            self.over(i, State::Cancelled, Some(StopOutcome::Lost));
        }
        for i in due(self, &|run| run.state == State::Started && run.started_at <= now - config.over_age_after) {
            self.over(i, State::Cancelled, Some(StopOutcome::Stopping));
        }
        for i in
            due(self, &|run| run.stop == Some(StopOutcome::Stopping) && run.lease_end <= now - config.unconfirmed_after)
        {
            self.over(i, State::Cancelled, Some(StopOutcome::Lost));
        }
    }
}

/// The service beside its model.
struct Pair {
    world: World,
    model: Model,
    runs: Vec<Run>,
    requests: usize,
}

impl Pair {
    fn new(scope: usize, behaviour: usize) -> Self {
        let mut world = World::new();
        // Short enough that a sequence can run them out.
        (world.config.unclaimed_after, world.config.over_age_after) = (10 * MINUTE, 20 * MINUTE);
        let model = Model { now: world.now.get().0, ..Model::default() };
        let mut pair = Self { world, model, runs: Vec::new(), requests: 0 };
        pair.step(&Step::Configure { scope, behaviour });
        pair
    }

    fn step(&mut self, step: &Step) {
        let Self { world, model, runs, requests } = self;
        *requests += 1;
        let request_id = format!("own:{requests}");
        let key = world.key.clone();
        let caller = world.caller(&key);
        let pick = |i: &usize| (!runs.is_empty()).then(|| i % runs.len().max(1));
        match step {
            Step::Configure { scope, behaviour } => {
                (model.scope, model.behaviour) = (*scope, *behaviour);
                world.sql(&format!(
                    "UPDATE projects SET concurrency_scope = '{}', concurrency_behaviour = '{}' WHERE id = 1",
                    SCOPES[*scope], BEHAVIOURS[*behaviour]
                ));
            }
            Step::Register { environment, branch, protected } => {
                let body = serde_json::json!({"environment": ENVIRONMENTS[*environment], "branch": BRANCHES[*branch], "protected": protected});
                let run = serde_json::from_value::<RegisterRequest>(body).expect("a request").checked().expect("a run");
                let registered = block_on(store::register(&world.host, &caller, &request_id, &run)).expect("an answer");
                // The same request again, as after a lost answer, changes nothing.
                let again = block_on(store::register(&world.host, &caller, &request_id, &run)).expect("an answer");
                assert_eq!(format!("{registered:?}"), format!("{again:?}"));
                assert_eq!(
                    matches!(registered, RegisterOutcome::Registered(_)),
                    model.register(*environment, *branch, *protected)
                );
                if let RegisterOutcome::Registered(run) = registered {
                    runs.push(Run { id: run.id, token: "nobody's".to_owned() });
                }
            }
            Step::Claim(i) => {
                let Some(i) = pick(i) else { return };
                let outcome = block_on(store::claim(&world.host, &caller, runs[i].id, &request_id, LEASE, None))
                    .expect("an answer");
                assert_eq!(matches!(outcome, ClaimOutcome::Claimed { .. }), model.claim(i), "{outcome:?}");
                match outcome {
                    ClaimOutcome::Claimed { token, .. } => runs[i].token = token,
                    ClaimOutcome::Waits(first) => assert_ne!(first.id, runs[i].id),
                    ClaimOutcome::NotQueued(_) => {
                        assert!(!matches!(model.runs[i].state, State::Pending | State::Queued))
                    }
                }
            }
            Step::Heartbeat(i) => {
                let Some(i) = pick(i) else { return };
                block_on(store::heartbeat(&world.host, &caller, runs[i].id, &runs[i].token, LEASE, STOP_LIMIT))
                    .expect("an answer");
                model.heartbeat(i);
            }
            Step::Finish(i) => {
                let Some(i) = pick(i) else { return };
                let finished = World::finished(&runs[i].token, estop::run::Finish::Ended);
                block_on(store::finish(&world.host, &caller, runs[i].id, &request_id, &finished)).expect("an answer");
                model.finish(i);
            }
            Step::Cancel(i) => {
                let Some(i) = pick(i) else { return };
                let outcome = world.cancel_with(&key, runs[i].id, &request_id, None).expect("an answer");
                assert_eq!(matches!(outcome, store::CancelOutcome::Cancelled { .. }), model.cancel(i));
            }
            Step::Pass(span) => {
                world.pass(*span);
                model.now += span;
            }
            Step::Sweep => {
                block_on(tick(&world.host, &world.config, world.now.get())).expect("a tick");
                model.sweep(world);
            }
        }
    }

    fn check(&self, what: &str) {
        for (i, (run, modelled)) in self.runs.iter().zip(&self.model.runs).enumerate() {
            let row = self.world.row(run.id);
            assert_eq!(row.state, modelled.state.name(), "run {i} after {what}");
            assert_eq!(row.stop_outcome, modelled.stop.map(StopOutcome::name), "run {i} after {what}");
            let by = modelled.superseded_by.map(|j| self.runs[j].id);
            assert_eq!(row.superseded_by, by, "run {i} after {what}");
            let cause = serde_json::to_value(Cause::Superseded).expect("a name");
            assert_eq!(row.cancel_cause.as_deref() == cause.as_str(), by.is_some(), "run {i} after {what}");
            assert_eq!(
                self.world.terminal_events(run.id),
                usize::from(modelled.state.is_over()),
                "run {i} after {what}"
            );
        }
        // And what the limits promise, asked of the database itself.
        let now = self.model.now;
        let broken: i64 = self
            .world
            .host
            .db
            .borrow()
            .query_row(
                "SELECT count(*) FROM (SELECT sum(state = 'started' OR (stop_outcome = 'stopping' AND lease_expires_at > ?1)) AS holding, \
                    sum(state = 'pending') AS waiting, sum(state IN ('queued', 'started') OR stop_outcome = 'stopping') AS active \
                 FROM runs WHERE slot IS NOT NULL GROUP BY slot) \
                 WHERE holding > 1 OR waiting > 1 OR (waiting > 0 AND active = 0)",
                [now],
                |row| row.get(0),
            )
            .expect("a count");
        assert_eq!(broken, 0, "two hold a scope, two wait in it, or one waits for nobody, after {what}");
    }
}

fn step() -> impl Strategy<Value = Step> {
    let run = 0..12_usize;
    prop_oneof![
        4 => (0..2_usize, 0..2_usize, prop::bool::weighted(0.2))
            .prop_map(|(environment, branch, protected)| Step::Register { environment, branch, protected }),
        4 => run.clone().prop_map(Step::Claim),
        1 => run.clone().prop_map(Step::Heartbeat),
        3 => run.clone().prop_map(Step::Finish),
        2 => run.prop_map(Step::Cancel),
        3 => prop_oneof![Just(1000), Just(MINUTE), Just(LEASE), Just(5 * MINUTE)].prop_map(Step::Pass),
        2 => Just(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_sequences_agree_with_the_model(scope in 0..4_usize, behaviour in 0..2_usize, steps in prop::collection::vec(step(), 1..40)) {
        let mut pair = Pair::new(scope, behaviour);
        for (n, step) in steps.iter().enumerate() {
            pair.step(step);
            pair.check(&format!("step {n}, {step:?}, of {steps:?}"));
        }
    }
}

#[test]
fn a_claim_waits_for_the_old_runner_and_no_longer_than_its_lease() {
    let mut pair = Pair::new(1, 0);
    let register = Step::Register { environment: 0, branch: 0, protected: false };
    for step in [register.clone(), Step::Claim(0), register] {
        pair.step(&step);
    }
    let key = pair.world.key.clone();
    let claim = |pair: &Pair| {
        block_on(store::claim(&pair.world.host, &pair.world.caller(&key), pair.runs[1].id, "own:x", LEASE, None))
    };
    let outcome = claim(&pair);
    assert!(
        matches!(&outcome, Ok(ClaimOutcome::Waits(first)) if first.id == 1 && first.by == "system:concurrency"),
        "{outcome:?}"
    );
    pair.world.pass(LEASE - 1);
    assert!(matches!(claim(&pair), Ok(ClaimOutcome::Waits(_))));
    pair.world.pass(1);
    assert!(matches!(claim(&pair), Ok(ClaimOutcome::Claimed { .. })));
    assert_eq!(pair.world.row(1).stop_outcome.as_deref(), Some("lost"));
}

#[test]
fn an_unknown_environment_is_called_unknown_even_while_another_run_waits() {
    let mut pair = Pair::new(1, 1);
    for protected in [false, true] {
        pair.step(&Step::Register { environment: 0, branch: 0, protected });
    }
    let key = pair.world.key.clone();
    let run: RegisterRequest = serde_json::from_str(r#"{"environment":"stagin"}"#).expect("a request");
    let run = run.checked().expect("a run");
    let outcome = block_on(store::register(&pair.world.host, &pair.world.caller(&key), "own:x", &run));
    assert!(
        matches!(&outcome, Ok(RegisterOutcome::UnknownEnvironment(known)) if known == &["production", "staging"]),
        "{outcome:?}"
    );
}
