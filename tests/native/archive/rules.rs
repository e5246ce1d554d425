//! What the schema lets go, whatever a statement says.

use estop::run::Event;
use estop_protocol::run::State;

use super::{count, ids, left, old_runs, refused, world};

#[test]
fn the_schema_lets_nothing_go_but_what_an_archive_covers() {
    let world = world();
    let runs = old_runs(&world);
    let newest = runs[3].id + 1;
    let id = runs[0].id;
    refused(&world, &format!("DELETE FROM runs WHERE id = {id}"), "a run is deleted once it is archived");
    refused(&world, &format!("DELETE FROM run_events WHERE run_id = {id}"), "an event is deleted with its run");
    refused(&world, &format!("DELETE FROM run_shards WHERE run_id = {id}"), "a shard is deleted with its run");
    let archive = |first: i64, last: i64, runs: i64, ids: &str| {
        format!(
            "INSERT INTO archives (project_id, first_run, last_run, runs, run_ids, events, shards, archived_at) \
             VALUES (1, {first}, {last}, {runs}, '{ids}', 0, 0, 1)"
        )
    };
    let list = |ids: &[i64]| ids.iter().fold(",".to_owned(), |text, id| format!("{text}{id},"));
    let all = ids(&runs);
    refused(&world, &archive(id, all[3], 4, &list(&all)), "a run is counted before it is archived");
    count(&world);
    refused(&world, &archive(all[1], all[3], 3, &list(&all[1..])), "an archive has the oldest runs of its project");
    refused(&world, &archive(id, all[3], 3, &list(&all[..3])), "an archive has every run of its range");
    refused(&world, &archive(id, all[3], 4, &list(&all[..3])), "an archive has every run of its range");
    refused(&world, &archive(id, all[3] + 1000, 5, &list(&all)), "an archive has every run of its range");
    world.sql(&format!("UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = {}, cancel_cause = 'user', cancel_by = 'a', \
        cancel_request_id = 'r', stop_outcome = 'never_started' WHERE id = {newest}", world.now.get().0));
    count(&world);
    let with_newest: Vec<i64> = all.iter().copied().chain([newest]).collect();
    refused(&world, &archive(id, newest, 5, &list(&with_newest)), "the newest run stays");
    world.sql(&archive(id, all[1], 2, &list(&all[..2])));
    refused(&world, &format!("DELETE FROM runs WHERE id = {}", all[2]), "a run is deleted once it is archived");
    refused(&world, "UPDATE archives SET last_run = 99", "an archive never changes");
    refused(&world, "DELETE FROM archives", "an archive is never deleted");
    world.sql(&format!("DELETE FROM runs WHERE id <= {}", all[1]));
    assert_eq!(left(&world, "run_events WHERE run_id <= 2"), 0);
    refused(&world, &archive(id, all[1], 2, &list(&all[..2])), "UNIQUE constraint failed");
}

#[test]
fn a_run_that_is_not_over_is_in_no_archive() {
    let world = world();
    let mut run = world.run_in(State::Started);
    world.run_in(State::Queued);
    let archive = format!(
        "INSERT INTO archives (project_id, first_run, last_run, runs, run_ids, events, shards, archived_at) \
         VALUES (1, {0}, {0}, 1, ',{0},', 0, 0, 1)",
        run.id
    );
    refused(&world, &archive, "over and stopped");
    assert!(world.apply(&mut run, Event::Cancel));
    refused(&world, &archive, "over and stopped");
}
