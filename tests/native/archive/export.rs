//! An export: what is archived and what is not, once.

use std::collections::BTreeSet;

use estop::archive::step;
use estop::database::{Database, Home};
use estop::operations::export;
use estop::run::Timeout;
use estop_protocol::run::State;
use pollster::block_on;
use serde_json::{Value as Json, json};

use super::{LARGE, TABLES, count, ids, left, of_kind, old_runs, rows, turn, world};
use crate::world::{Ask, World, data};

#[test]
fn an_export_has_what_is_archived_and_what_is_not_once() {
    let mut world = world();
    world.config.archive_runs = 3;
    let runs = old_runs(&world);
    let before = TABLES.map(|(_, table)| rows(&world, table));
    turn(&world).expect("a turn");
    let lost = world.run_in(State::Cancelled);
    world.sweep(Timeout::Unconfirmed);
    let export = |after: i64| data(&world.send(&Ask::new(&export::OPERATION).query(&format!("after={after}"))));
    let (mut lines, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let mut page = export(from);
        lines.append(page["lines"].as_array_mut().expect("lines"));
        after = page["next_after"].as_i64();
    }
    for ((kind, _), before) in TABLES.iter().zip(before) {
        let exported = of_kind(&lines, kind);
        assert_eq!((exported.len(), exported.into_iter().collect::<BTreeSet<_>>()), (before.len(), before), "{kind}");
    }
    assert!(lines.iter().all(|line| line["run"] != lost.id), "its result may still come");
    // From the middle of a member, too.
    let page = export(runs[0].id);
    let first = page["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .find(|line| line["kind"] == "run")
        .map(|line| line["run"].clone());
    assert_eq!(first, Some(json!(runs[1].id)));
    let bad = world.send(&Ask::new(&export::OPERATION).query("after=-1"));
    assert_eq!(bad.status, 400);
}

fn export(world: &World, after: i64) -> (Vec<i64>, Json) {
    let page = data(&world.send(&Ask::new(&export::OPERATION).query(&format!("after={after}"))));
    let lines = page["lines"].as_array().expect("lines").iter().filter(|line| line["kind"] == "run");
    (lines.filter_map(|line| line["run"].as_i64()).collect(), page["next_after"].clone())
}

#[test]
fn an_export_has_runs_that_are_archived_between_its_batches() {
    let world = world();
    let runs = old_runs(&world);
    count(&world);
    let (config, now) = (world.config.clone(), world.now.get());
    *world.runtime.before_batch.borrow_mut() = Some((
        1,
        Box::new(move |runtime| {
            let database = Database { runtime, config: &config, home: Home::FIRST };
            let tally = block_on(step(&database, now)).expect("a step").expect("a turn");
            assert_eq!(tally.archived, 4);
        }),
    ));
    assert_eq!(export(&world, 0), (ids(&runs), json!(runs[3].id)));
    assert_eq!(left(&world, "runs"), 1, "they were archived meanwhile");
}

#[test]
fn a_page_of_an_export_has_its_bounds() {
    let world = world();
    let runs: Vec<i64> = (0..20).map(|_| world.run_in(State::Ended).id).collect();
    assert_eq!(export(&world, 0), (runs.clone(), json!(runs[19])));
    world.sql(&format!("DROP TRIGGER run_shards_stay; UPDATE run_shards SET failures = {LARGE}"));
    let (first, next) = export(&world, 0);
    assert!((10..16).contains(&first.len()), "{first:?}");
    let (rest, _) = export(&world, next.as_i64().expect("more"));
    assert_eq!([first, rest].concat(), runs, "none is left out");
}
