//! Races. D1 runs one batch after the other, so a race is an order of whole batches: we try them all.

use estop::run::Event;
use estop_protocol::run::{Finish, State};

use crate::machine::Model;
use crate::world::{Row, Run, World};

/// Every ordered choice of `length` events; the same event may come twice (two cancels, two ticks).
fn orders(length: u32) -> Vec<Vec<Event>> {
    (0..Event::ALL.len().pow(length))
        .map(|n| (0..length).map(|place| Event::ALL[n / Event::ALL.len().pow(place) % Event::ALL.len()]).collect())
        .collect()
}

/// What must not change once a run is over: everything but the stop record.
fn verdict(row: Row) -> Row {
    Row { stop_outcome: None, stop_closed_at: None, ..row }
}

fn check(start: State, orders: &[Vec<Event>]) {
    let world = World::new();
    let run = world.run_in(start);
    for order in orders {
        world.undone(|| check_order(&world, run.clone(), start, order));
    }
}

fn check_order(world: &World, mut run: Run, start: State, order: &[Event]) {
    let what = format!("{start:?} {order:?}");
    let mut model = Model::of(start);
    let mut decided: Option<Row> = None;
    for event in order {
        world.pass(1);
        assert_eq!(world.apply(&mut run, *event), model.apply(*event), "{event:?} of {what}");
        model.check(world, &run, &what);
        if model.state.is_over() {
            let row = verdict(world.row(run.id));
            assert_eq!(decided.get_or_insert_with(|| row.clone()), &row, "the first decision stands: {what}");
        }
    }
    assert_eq!(world.terminal_events(run.id), usize::from(model.state.is_over()), "{what}");
    assert_eq!(world.history(run.id).last().map(String::as_str), Some(model.state.name()), "{what}");
}

#[test]
fn every_order_of_two_writers_agrees_with_the_machine() {
    for start in State::ALL.iter().copied() {
        check(start, &orders(2));
    }
}

#[test]
fn every_order_of_three_writers_agrees_with_the_machine() {
    for start in [State::Pending, State::Queued, State::Started] {
        check(start, &orders(3));
    }
}

#[test]
fn of_cancel_and_finish_the_first_one_wins() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Finish(Finish::Ended)));
    assert!(!world.apply(&mut run, Event::Cancel));
    assert_eq!(world.history(run.id), ["queued", "started", "ended"]);

    let mut run = world.run_in(State::Started);
    assert!(world.apply(&mut run, Event::Cancel));
    assert!(!world.apply(&mut run, Event::Finish(Finish::Ended)));
    assert_eq!(world.history(run.id), ["queued", "started", "cancelled"]);
}
