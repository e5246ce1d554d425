//! Every statement in every state does what `run::after` says, and nothing else.

use estop::run::{Event, after, stop_after, stop_at_cancel};
use estop_protocol::run::{ConfirmedStop, Finish, State, StopOutcome};

use crate::world::{LEASE, NOW, Run, STOP_LIMIT, World};

/// What the pure machine says of a run: its state and, once cancelled, its stop record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    pub state: State,
    pub stop: Option<StopOutcome>,
}

impl Model {
    /// A run that reached `state` as `World::run_in` lets it.
    pub fn of(state: State) -> Self {
        Self { state, stop: stop_at_cancel(State::Started, Event::Cancel).filter(|_| state == State::Cancelled) }
    }

    /// Lets `event` happen; says whether it took.
    pub fn apply(&mut self, event: Event) -> bool {
        if let Some(next) = after(self.state, event) {
            self.stop = stop_at_cancel(self.state, event);
            self.state = next;
            return true;
        }
        let closed = self.stop.and_then(|stop| stop_after(stop, event, ConfirmedStop::Graceful));
        self.stop = closed.or(self.stop);
        // A finish that only fills in the stop record is answered with 412.
        closed.is_some() && !matches!(event, Event::Finish(_))
    }

    /// Checks that the database says the same.
    pub fn check(&self, world: &World, run: &Run, what: &str) {
        let row = world.row(run.id);
        assert_eq!(row.state, self.state.name(), "{what}");
        assert_eq!(row.stop_outcome.as_deref(), self.stop.map(StopOutcome::name), "{what}");
    }
}

#[test]
fn every_statement_in_every_state_agrees_with_the_machine() {
    agrees(World::new);
}

/// Runs every event in every state, each in a world of its own.
pub fn agrees(world: impl Fn() -> World) {
    for state in State::ALL.iter().copied() {
        for event in Event::ALL {
            let what = format!("{event:?} in {state:?}");
            let world = world();
            let mut run = world.run_in(state);
            let bystander = world.run_in(State::Ended);
            let before = world.row(run.id);
            let mut model = Model::of(state);
            let stop_before = model.stop;
            assert_eq!(world.apply(&mut run, event), model.apply(event), "{what}");
            model.check(&world, &run, &what);
            if (model.state, model.stop) == (state, stop_before) && event != Event::Heartbeat {
                assert_eq!(before, world.row(run.id), "refused, so nothing is written: {what}");
            }
            assert_eq!(world.row(bystander.id).state, "ended");
        }
    }
}

#[test]
fn a_foreign_lease_moves_nothing_in_any_state() {
    for state in State::ALL.iter().copied() {
        for event in [Event::Heartbeat, Event::Finish(Finish::Ended), Event::Finish(Finish::Error)] {
            let world = World::new();
            let mut run = world.run_in(state);
            // So late in the lease that the holder's own heartbeat would renew it.
            world.pass(LEASE - 1);
            let before = world.row(run.id);
            run.token = "somebody else's".to_owned();
            assert!(!world.apply(&mut run, event), "{event:?} in {state:?}");
            assert_eq!(world.row(run.id), before, "{event:?} in {state:?}");
        }
    }
}

#[test]
fn a_cancel_records_who_why_and_when_and_a_later_one_changes_none_of_it() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Cancel));
    let row = world.row(run.id);
    assert_eq!(row.cancel_reason.as_deref(), Some("why"));
    assert_eq!(row.cancel_cause.as_deref(), Some("user"));
    assert_eq!(row.cancel_by.as_deref(), Some("ada"));
    assert_eq!(row.cancelled_at, Some(world.now.get().0));
    assert_eq!(row.stop_outcome.as_deref(), Some("stopping"));
    world.pass(1);
    assert!(!world.apply(&mut run, Event::Cancel));
    assert_eq!(world.row(run.id), row);
}

#[test]
fn a_run_that_no_runner_held_was_never_started() {
    let world = World::new();
    for state in [State::Pending, State::Queued] {
        let mut run = world.run_in(state);
        world.apply(&mut run, Event::Cancel);
        assert_eq!(world.row(run.id).stop_outcome.as_deref(), Some("never_started"));
    }
}

#[test]
fn a_late_finish_cannot_revive_a_cancelled_run_but_confirms_its_stop() {
    let world = World::new();
    let mut run = world.run_in(State::Cancelled);
    let decided = world.row(run.id);
    world.pass(3000);
    assert!(!world.apply(&mut run, Event::Finish(Finish::Ended)));
    let row = world.row(run.id);
    assert_eq!(row.state, "cancelled");
    assert_eq!((row.cancelled_at, &row.cancel_by), (decided.cancelled_at, &decided.cancel_by));
    assert_eq!(row.stop_outcome.as_deref(), Some("graceful"));
    assert_eq!(row.stop_closed_at, Some(world.now.get().0));
    world.pass(3000);
    world.apply(&mut run, Event::Finish(Finish::Error));
    assert_eq!(world.row(run.id), row, "a stop record closes once");
}

#[test]
fn a_heartbeat_writes_only_when_less_than_half_of_the_lease_is_left() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    let first = world.row(run.id).lease_expires_at;
    world.pass(LEASE / 2);
    assert!(world.apply(&mut run, Event::Heartbeat));
    assert_eq!(world.row(run.id).lease_expires_at, first, "half is left: a read");
    world.pass(1);
    assert!(world.apply(&mut run, Event::Heartbeat));
    assert_eq!(world.row(run.id).lease_expires_at, Some(world.now.get().plus(LEASE).0));
}

#[test]
fn a_runner_that_is_stopping_keeps_its_lease_by_heartbeats_but_not_for_ever() {
    let world = World::new();
    let mut run = world.run_in(State::Cancelled);
    while world.now.get().since(NOW) < STOP_LIMIT {
        world.pass(LEASE / 2 + 1);
        world.apply(&mut run, Event::Heartbeat);
        assert!(world.row(run.id).lease_expires_at > Some(world.now.get().0), "it speaks, so it is not lost");
    }
    world.pass(LEASE);
    world.apply(&mut run, Event::Heartbeat);
    assert!(
        world.row(run.id).lease_expires_at < Some(world.now.get().0),
        "a deaf runner's stop record closes all the same"
    );
}

#[test]
fn a_runner_that_was_cut_off_renews_a_lease_that_nothing_has_ended_yet() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    world.pass(10 * LEASE);
    assert!(world.apply(&mut run, Event::Heartbeat));
    assert!(world.row(run.id).lease_expires_at > Some(world.now.get().0));
}
