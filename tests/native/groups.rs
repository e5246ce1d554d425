//! The concurrency limits, held against a small reference model through thousands of random sequences.

use estop::operations::{cancel, claim, finish, heartbeat, register};
use estop::sweeper::tick;
use estop_protocol::run::{Cause, Finish, State, StopOutcome};
use pollster::block_on;
use proptest::prelude::*;
use serde_json::json;

use crate::world::{Ask, LEASE, MINUTE, Run, STOP_LIMIT, World, data};

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
    group: Option<String>,
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

    /// Has a runner, so that no other can be claimed in its group.
    fn is_busy(run: &Modelled) -> bool {
        run.state == State::Started || run.stop == Some(StopOutcome::Stopping)
    }

    fn others<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Modelled> {
        self.runs.iter().filter(move |run| run.group.as_deref() == Some(group))
    }

    fn register(&mut self, environment: usize, branch: usize, protected: bool) -> bool {
        let group = match SCOPES[self.scope] {
            "project" => Some("project".to_owned()),
            "environment" => Some(format!("{environment}")),
            "branch_environment" => Some(format!("{environment} {branch}")),
            _ => None,
        };
        let queues = BEHAVIOURS[self.behaviour] == "queue_new";
        let mut state = State::Queued;
        if let Some(group) = group.as_deref().filter(|_| queues) {
            if self.others(group).any(|run| run.state == State::Pending && run.protected) {
                return false;
            }
            if self.others(group).any(|run| Self::holds(run) || run.state == State::Pending) {
                state = State::Pending;
            }
        }
        let (now, id) = (self.now, self.runs.len());
        for run in self.runs.iter_mut().filter(|run| group.is_some() && run.group == group && !run.protected) {
            if !run.state.is_over() && (!queues || run.state == State::Pending) {
                run.stop =
                    Some(if run.state == State::Started { StopOutcome::Stopping } else { StopOutcome::NeverStarted });
                run.state = State::Cancelled;
                run.cancelled_at = now;
                run.superseded_by = Some(id);
            }
        }
        self.runs.push(Modelled {
            group,
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

    fn promote(&mut self, group: Option<String>) {
        let Some(group) = group else { return };
        if !self.others(&group).any(Self::holds) {
            let now = self.now;
            let waiting = self
                .runs
                .iter_mut()
                .rev()
                .find(|run| run.group.as_ref() == Some(&group) && run.state == State::Pending);
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
        let was_busy = Self::is_busy(&self.runs[i]);
        self.runs[i].state = state;
        self.runs[i].stop = stop;
        self.promote(self.runs[i].group.clone());
        // From now on the next one can be claimed, and its time runs.
        let Some(group) = self.runs[i].group.clone() else { return };
        if was_busy && !self.others(&group).any(Self::is_busy) {
            let now = self.now;
            for run in
                self.runs.iter_mut().filter(|run| run.group.as_ref() == Some(&group) && run.state == State::Queued)
            {
                run.waiting_since = now;
            }
        }
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

    fn claim(&mut self, i: usize, unconfirmed_after: i64) -> bool {
        let now = self.now;
        let group = self.runs[i].group.clone();
        let is_lost =
            |run: &Modelled| run.stop == Some(StopOutcome::Stopping) && run.lease_end <= now - unconfirmed_after;
        let is_held =
            group.as_deref().is_some_and(|group| self.others(group).any(|run| Self::is_busy(run) && !is_lost(run)));
        let run = &mut self.runs[i];
        if run.state == State::Started && run.lease_end <= now {
            // A runner that lost its lease; the run goes on.
            run.lease_end = now + LEASE;
            return true;
        }
        if run.state != State::Queued || is_held {
            return false;
        }
        (run.state, run.started_at, run.lease_end) = (State::Started, now, now + LEASE);
        for j in 0..self.runs.len() {
            if group.is_some() && self.runs[j].group == group && is_lost(&self.runs[j]) {
                self.over(j, State::Cancelled, Some(StopOutcome::Lost));
            }
        }
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
        let free = |model: &Self, run: &Modelled| {
            !run.group.as_deref().is_some_and(|group| model.others(group).any(Self::is_busy))
        };
        let waited = |run: &Modelled| run.state == State::Queued && run.waiting_since <= now - config.unclaimed_after;
        let claimable: Vec<bool> = self.runs.iter().map(|run| free(self, run)).collect();
        for i in due(self, &waited).into_iter().filter(|i| claimable[*i]) {
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

/// Registers a run; gives its id unless a protected run waits in its group.
fn register(world: &World, idempotency_key: &str, environment: &str, branch: &str, protected: bool) -> Option<i64> {
    let body = json!({"environment": environment, "branch": branch, "protected": protected});
    let reply = world.send(&Ask::new(&register::OPERATION).idempotent(idempotency_key).body(&body));
    assert!(matches!(reply.status, 200 | 409), "{reply:?}");
    data(&reply)["test_run"]["id"].as_i64()
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
        // Some hundred thousand answers like those of the other tests.
        let mut world = World { holds_to_contract: false, ..World::new() };
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
        let idempotency_key = requests.to_string();
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
                let branch_name = BRANCHES[*branch];
                let registered = register(world, &idempotency_key, ENVIRONMENTS[*environment], branch_name, *protected);
                // The same request again, as after a lost answer, changes nothing.
                let again = register(world, &idempotency_key, ENVIRONMENTS[*environment], branch_name, *protected);
                assert_eq!(registered, again);
                assert_eq!(registered.is_some(), model.register(*environment, *branch, *protected));
                runs.extend(registered.map(|id| Run { id, token: "nobody's".to_owned() }));
            }
            Step::Claim(i) => {
                let Some(i) = pick(i) else { return };
                let reply = world.ask(&claim::OPERATION, runs[i].id, &json!({}));
                assert_eq!(reply.status == 200, model.claim(i, world.config.unconfirmed_after), "{reply:?}");
                match reply.outcome {
                    "claimed" => runs[i].token = data(&reply)["lease"]["token"].as_str().expect("a token").to_owned(),
                    "waits" => assert!(!reply.body.contains(&format!("waits for test run {}:", runs[i].id))),
                    _ => assert!(!matches!(model.runs[i].state, State::Pending | State::Queued)),
                }
            }
            Step::Heartbeat(i) => {
                let Some(i) = pick(i) else { return };
                world.ask(&heartbeat::OPERATION, runs[i].id, &json!({"lease": runs[i].token}));
                model.heartbeat(i);
            }
            Step::Finish(i) => {
                let Some(i) = pick(i) else { return };
                world.ask(&finish::OPERATION, runs[i].id, &World::finish_body(&runs[i].token, Finish::Ended));
                model.finish(i);
            }
            Step::Cancel(i) => {
                let Some(i) = pick(i) else { return };
                let reply = world.ask(&cancel::OPERATION, runs[i].id, &json!({}));
                assert_eq!(reply.status == 200, model.cancel(i), "{reply:?}");
            }
            Step::Pass(span) => {
                world.pass(*span);
                model.now += span;
            }
            Step::Sweep => {
                block_on(tick(&world.database(), world.now.get())).expect("a tick");
                model.sweep(world);
            }
        }
    }

    fn check(&self, what: &str) {
        for (i, (run, modelled)) in self.runs.iter().zip(&self.model.runs).enumerate() {
            let row = self.world.row(run.id);
            assert_eq!(row.state, modelled.state.name(), "run {i} after {what}");
            assert_eq!(row.stop_outcome.as_deref(), modelled.stop.map(StopOutcome::name), "run {i} after {what}");
            let by = modelled.superseded_by.map(|j| self.runs[j].id);
            assert_eq!(row.superseded_by, by, "run {i} after {what}");
            let superseded = row.cancel_cause.as_deref() == Some(Cause::Superseded.name());
            assert_eq!(superseded, by.is_some(), "run {i} after {what}");
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
            .runtime
            .db
            .borrow()
            .query_row(
                "SELECT count(*) FROM (SELECT sum(r.state = 'started' OR (r.stop_outcome = 'stopping' AND s.lease_expires_at > ?1)) AS holding, \
                    sum(r.state = 'pending') AS waiting, \
                    sum(r.state IN ('queued', 'started') OR r.stop_outcome = 'stopping') AS active \
                 FROM runs r LEFT JOIN run_shards s ON s.run_id = r.id WHERE concurrency_group IS NOT NULL GROUP BY concurrency_group) \
                 WHERE holding > 1 OR waiting > 1 OR (waiting > 0 AND active = 0)",
                [now],
                |row| row.get(0),
            )
            .expect("a count");
        assert_eq!(broken, 0, "two hold a scope, two wait in it, or one waits for nobody, after {what}");
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
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

/// Random sequences in projects with one scope.
fn agrees(scope: usize, behaviour: usize, steps: &[Step]) {
    let mut pair = Pair::new(scope, behaviour);
    for (n, step) in steps.iter().enumerate() {
        pair.step(step);
        pair.check(&format!("step {n}, {step:?}, of {steps:?}"));
    }
}

// One test a scope, so that they run side by side.
proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_sequences_agree_with_the_model_without_a_limit(behaviour in 0..2_usize, steps in steps()) {
        agrees(0, behaviour, &steps);
    }

    #[test]
    fn random_sequences_agree_with_the_model_of_one_in_a_project(behaviour in 0..2_usize, steps in steps()) {
        agrees(1, behaviour, &steps);
    }

    #[test]
    fn random_sequences_agree_with_the_model_of_one_in_an_environment(behaviour in 0..2_usize, steps in steps()) {
        agrees(2, behaviour, &steps);
    }

    #[test]
    fn random_sequences_agree_with_the_model_of_one_on_a_branch(behaviour in 0..2_usize, steps in steps()) {
        agrees(3, behaviour, &steps);
    }
}

#[test]
fn a_claim_waits_for_the_old_runner_and_no_longer_than_the_sweeper_would() {
    let mut pair = Pair::new(1, 0);
    let register = Step::Register { environment: 0, branch: 0, protected: false };
    for step in [register.clone(), Step::Claim(0), register] {
        pair.step(&step);
    }
    let claim = |pair: &Pair| pair.world.ask(&claim::OPERATION, pair.runs[1].id, &json!({}));
    let reply = claim(&pair);
    assert!(reply.outcome == "waits" && reply.body.contains("waits for test run 1: system:concurrency"), "{reply:?}");
    // A runner that stops by itself at the end of its lease (`estop run --exclusive`) needs its grace on top.
    pair.world.pass(LEASE + pair.world.config.unconfirmed_after - 1);
    assert_eq!(claim(&pair).outcome, "waits");
    pair.world.pass(1);
    assert_eq!(claim(&pair).outcome, "claimed");
    assert_eq!(pair.world.row(1).stop_outcome.as_deref(), Some("lost"));
}

#[test]
fn an_unknown_environment_is_called_unknown_even_while_another_run_waits() {
    let mut pair = Pair::new(1, 1);
    for protected in [false, true] {
        pair.step(&Step::Register { environment: 0, branch: 0, protected });
    }
    let reply = pair.world.send(&Ask::new(&register::OPERATION).body(&json!({"environment": "stagin"})));
    assert!(reply.status == 400 && reply.body.contains("known are production, staging"), "{reply:?}");
}
