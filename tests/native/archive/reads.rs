//! What is shown of an archived run, and to whom.

use std::collections::BTreeMap;

use estop::operations::{bulk_cancel, cancel, cancels, claim, events, failures, finish, heartbeat, kill, list, show};
use estop_protocol::run::{Finish, State};
use serde_json::{Value as Json, json};

use super::{DAY, old_runs, turn, world};
use crate::world::{Ask, Run, World, data};

#[test]
fn what_is_shown_of_an_archived_run_is_what_was_shown_before() {
    let world = world();
    let runs = old_runs(&world);
    let shown = |run: &Run| {
        let mut all = [&show::OPERATION, &events::OPERATION, &failures::OPERATION].map(|operation| {
            let reply = world.send(&Ask::new(operation).about(run.id));
            assert_eq!(reply.status, 200, "{reply:?}");
            data(&reply)
        });
        let archived = all[0]["test_run"].as_object_mut().expect("a run").remove("archived");
        (archived, all)
    };
    let before: Vec<_> = runs.iter().map(shown).collect();
    assert!(before.iter().all(|(archived, _)| archived.is_none()));
    assert_eq!(turn(&world).expect("a turn").archived, 4);
    let reads = world.runtime.bucket_reads.get();
    let batches = world.runtime.batches.get();
    let after: Vec<_> = runs.iter().map(shown).collect();
    for (run, ((_, before), (archived, after))) in runs.iter().zip(before.iter().zip(&after)) {
        assert_eq!(archived, &Some(json!(true)));
        assert_eq!(before, after, "{}", run.id);
    }
    assert_eq!(world.runtime.bucket_reads.get() - reads, 12, "one read of the bucket each");
    assert_eq!(world.runtime.batches.get() - batches, 12, "and one round trip");
}

#[test]
fn the_failed_tests_of_an_archived_run_are_read_from_its_shards() {
    let world = world();
    let run = world.run_in(State::Started);
    let failed: Vec<Json> =
        (0..3).map(|n| json!({"title": format!("t{n}"), "file": "a.ts", "line": n, "message": "\"no\""})).collect();
    let progress = json!({"lease": run.token, "progress": {"done": 3, "failed": 3}, "failures": failed});
    assert_eq!(world.ask(&heartbeat::OPERATION, run.id, &progress).status, 200);
    assert_eq!(world.ask(&finish::OPERATION, run.id, &World::finish_body(&run.token, Finish::Ended)).status, 200);
    let before = data(&world.send(&Ask::new(&failures::OPERATION).about(run.id)));
    assert_eq!(before["failures"].as_array().map(Vec::len), Some(3));
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    assert_eq!(turn(&world).expect("a turn").archived, 1);
    assert_eq!(data(&world.send(&Ask::new(&failures::OPERATION).about(run.id))), before);
}

#[test]
fn an_archived_run_takes_no_more_changes_and_says_why() {
    let world = world();
    let runs = old_runs(&world);
    turn(&world).expect("a turn");
    let id = runs[0].id;
    for operation in [&cancel::OPERATION, &claim::OPERATION, &kill::OPERATION] {
        let reply = world.ask(operation, id, &json!({}));
        let expected = json!({"message": format!("Test run {id} is over: it is archived.")});
        assert_eq!((reply.status, reply.body), (412, expected.to_string()), "{}", operation.name());
    }
    let lease = &runs[0].token;
    for (operation, body) in [
        (&heartbeat::OPERATION, json!({"lease": lease})),
        (&finish::OPERATION, World::finish_body(lease, Finish::Ended)),
    ] {
        assert_eq!(world.ask(operation, id, &body).status, 409, "{}", operation.name());
    }
    let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).body(&json!({"ids": [id]})));
    assert_eq!((reply.status, data(&reply)["cancelled"].as_array().map(Vec::len)), (200, Some(0)), "{reply:?}");
}

#[test]
fn an_archived_run_of_another_project_does_not_exist() {
    let world = world();
    let runs = old_runs(&world);
    let other = world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 2, (1, 1, 1), None, None);
    let blind = world.add_key("estop_CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", 1, (0, 0, 0), None, None);
    turn(&world).expect("a turn");
    for operation in [
        &show::OPERATION,
        &events::OPERATION,
        &failures::OPERATION,
        &cancel::OPERATION,
        &claim::OPERATION,
        &kill::OPERATION,
    ] {
        let ask = |key, id| world.send(&Ask::new(operation).about(id).with_key(key).body(&json!({})));
        let reply = ask(&other, runs[0].id);
        assert_eq!((reply.status, &reply.body), (404, &ask(&other, 999).body), "{}", operation.name());
        assert_eq!(ask(&blind, runs[0].id).status, 403, "{}", operation.name());
    }
    assert_eq!(world.runtime.bucket_reads.get(), 0);
}

#[test]
fn a_run_between_two_archived_ones_that_is_another_projects_stays_theirs() {
    let world = world();
    let mine = world.run_in(State::Ended);
    world.sql("INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) VALUES (2, 3, 'queued', 'theirs', 1, 'bob', 1)");
    let theirs = mine.id + 1;
    world.run_in(State::Ended);
    world.pass(31 * DAY);
    world.run_in(State::Queued);
    assert_eq!(turn(&world).expect("a turn").archived, 2);
    assert_eq!(world.send(&Ask::new(&show::OPERATION).about(theirs)).status, 404);
    assert_eq!(world.ask(&cancel::OPERATION, theirs, &json!({})).status, 404);
    assert_eq!(world.row(theirs).state, "cancelled", "the tick found it stale; it is not archived");
}

#[test]
fn a_list_says_up_to_where_runs_are_archived() {
    let world = world();
    let runs = old_runs(&world);
    world.add_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 2, (1, 1, 1), None, None);
    let listed = || {
        [&list::OPERATION, &cancels::OPERATION]
            .map(|operation| data(&world.send(&Ask::new(operation)))["archived_through"].clone())
    };
    assert_eq!(listed(), [Json::Null, Json::Null]);
    turn(&world).expect("a turn");
    assert_eq!(listed(), [json!(runs[3].id), json!(runs[3].id)]);
    let other = Ask::new(&cancels::OPERATION).with_key("estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");
    assert_eq!(data(&world.send(&other))["archived_through"], Json::Null, "that is said of the caller's project");
}

#[test]
fn a_bucket_that_fails_is_503_and_not_404() {
    let world = world();
    let runs = old_runs(&world);
    turn(&world).expect("a turn");
    for bucket in [Some(BTreeMap::new()), None] {
        *world.runtime.bucket.borrow_mut() = bucket;
        for operation in [&show::OPERATION, &events::OPERATION, &failures::OPERATION] {
            let reply = world.send(&Ask::new(operation).about(runs[0].id));
            assert_eq!((reply.status, reply.outcome), (503, "no_archive"), "{reply:?}");
        }
    }
}
