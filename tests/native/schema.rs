//! The schema keeps the invariants by itself, whatever statement comes.

use estop::run::Event;
use estop_protocol::run::State;

use crate::world::World;

fn refuses(world: &World, statement: &str) -> String {
    match world.runtime.db.borrow().execute_batch(statement) {
        Err(error) => error.to_string(),
        Ok(()) => panic!("accepted: {statement}"),
    }
}

#[test]
fn the_seed_loads_twice_and_has_the_runs_that_the_readme_promises() {
    let world = World::on(crate::world::empty_database());
    world.sql(crate::world::SCHEMA);
    let seed = include_str!("../../seed.sql");
    world.sql(seed);
    let fresh = world.row(1);
    world
        .sql("UPDATE run_shards SET lease_renewed_at = started_at, lease_expires_at = started_at + 1 WHERE run_id = 1");
    let others: Vec<_> = (2..=12).map(|id| world.row(id)).collect();
    world.sql(seed);
    let lease = |row: &crate::world::Row| row.lease_expires_at.expect("a lease");
    assert!((0..10_000).contains(&(lease(&world.row(1)) - lease(&fresh))), "run 1's lease is renewed");
    assert_eq!((2..=12).map(|id| world.row(id)).collect::<Vec<_>>(), others, "what exists stays");
    let states: Vec<String> = (1..=12).map(|id| world.row(id).state).collect();
    assert_eq!(states[..3], ["started", "queued", "ended"]);
    for state in State::ALL.iter().copied() {
        assert!(states.iter().any(|s| s == state.name()), "{state:?}");
    }
    let minute = 60_000;
    assert!(lease(&fresh) > world.row(3).ended_at.expect("its end") + 9 * minute, "run 1 is alive");
    world.sql(
        "UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 1, cancel_cause = 'user', cancel_by = 'ada', \
        cancel_request_id = 'c', stop_outcome = 'stopping' WHERE id = 1; UPDATE run_shards SET lease_expires_at = 2 WHERE run_id = 1",
    );
    world.sql(seed);
    assert_eq!(lease(&world.row(1)), 2, "nobody renews it after a cancel");
    let hash: String = world.runtime.db.borrow().query_row("SELECT hash FROM keys", [], |r| r.get(0)).expect("a key");
    assert_eq!(hash, estop::key::KeyHash::of(estop::key::LOCAL_DEMO).as_str());
}

#[test]
fn no_statement_leaves_a_state_that_is_over_or_edits_its_record() {
    for state in State::ALL.iter().copied().filter(|s| s.is_over()) {
        let world = World::new();
        let id = world.run_in(state).id;
        for set in [
            "state = 'queued'",
            "state = 'started'",
            "state = 'ended', result = 'passed'",
            "state = 'cancelled'",
            "result = 'failed'",
            "error_code = NULL",
            "ended_at = 1",
            "cancel_reason = 'another'",
            "cancel_by = 'me'",
            "cancelled_at = 1",
            "cancel_cause = 'stale'",
            "superseded_by = 1",
            "counts = '{}'",
            "finished_shards = 0",
            "failed_tests = 5",
            "attempt = 5",
            "started_by = 'me'",
            "cancel_request_id = 'mine'",
        ] {
            let error = refuses(&world, &format!("UPDATE runs SET version = version + 1, {set} WHERE id = {id}"));
            let rules = [
                "a run that is over never changes",
                "CHECK constraint failed",
                "a later attempt joins a run that is not over",
                "a run starts once",
            ];
            assert!(rules.iter().any(|rule| error.contains(rule)), "{state:?} {set}: {error}");
        }
    }
}

#[test]
fn a_run_begins_waiting_and_only_goes_forward() {
    let world = World::new();
    let error = refuses(
        &world,
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, result, \
           ended_at, ended_by, started_at, started_by, finished_shards) \
         VALUES (1, 1, 'ended', 'x', 1, 'ada', 1, 'passed', 2, 'ada', 1, 'ada', 1)",
    );
    assert!(error.contains("a run begins pending or queued"), "{error}");
    for (from, to) in [
        (State::Started, "queued"),
        (State::Started, "pending"),
        (State::Queued, "pending"),
        (State::Pending, "started"),
    ] {
        let id = world.run_in(from).id;
        let error = refuses(&world, &format!("UPDATE runs SET version = version + 1, state = '{to}' WHERE id = {id}"));
        // Whichever rule comes first.
        let rules = ["a run only goes forward", "CHECK constraint failed", "an event says what its run has become"];
        assert!(rules.iter().any(|rule| error.contains(rule)), "{from:?} {to}: {error}");
    }
}

#[test]
fn a_state_comes_with_its_timestamps_and_nothing_else() {
    for (from, set) in [
        (State::Queued, "state = 'started'".to_owned()),
        (State::Queued, "state = 'cancelled'".to_owned()),
        (State::Queued, "state = 'cancelled', cancelled_at = 1, cancel_by = 'a', cancel_cause = 'user', cancel_request_id = 'r'".to_owned()),
        (State::Queued, "cancel_reason = 'soon'".to_owned()),
        (State::Queued, "stop_outcome = 'stopping'".to_owned()),
        (State::Queued, "started_at = 1, started_by = 'a'".to_owned()),
        (State::Queued, "open_shards = 1".to_owned()),
        (State::Queued, "finished_shards = 2".to_owned()),
        (State::Queued, "state = 'cancelled', cancelled_at = 1, cancel_by = 'a', cancel_cause = 'user', cancel_request_id = 'r', stop_outcome = 'stopping'".to_owned()),
        (State::Started, "state = 'ended', ended_at = 1, ended_by = 'a'".to_owned()),
        (State::Started, "state = 'ended', result = 'passed'".to_owned()),
        (State::Started, "state = 'error', ended_at = 1, ended_by = 'a'".to_owned()),
        (State::Started, "state = 'error', error_code = 'tired', ended_at = 1, ended_by = 'a'".to_owned()),
        (State::Started, "result = 'passed'".to_owned()),
        (State::Started, "started_at = NULL".to_owned()),
        (State::Started, "state = 'ended', result = 'passed', ended_at = 1, ended_by = 'a'".to_owned()),
        (State::Started, "open_shards = 0".to_owned() + ", state = 'cancelled', cancelled_at = 1, cancel_by = 'a', cancel_cause = 'user', cancel_request_id = 'r', stop_outcome = 'stopping'"),
        (State::Cancelled, "kill_at = 1".to_owned()),
        (State::Started, "kill_at = 1, kill_by = 'a', kill_request_id = 'r'".to_owned()),
        (State::Cancelled, "stop_outcome = 'asleep', stop_closed_at = 1, open_shards = 0".to_owned()),
        (State::Started, "counts = '{}'".to_owned()),
        (State::Started, "superseded_by = 1".to_owned()),
        (State::Started, "state = 'cancelled', cancelled_at = 1, cancel_by = 'a', cancel_cause = 'whim', cancel_request_id = 'r', stop_outcome = 'stopping'".to_owned()),
        (State::Started, "state = 'cancelled', cancelled_at = 1, cancel_by = 'a', cancel_cause = 'user', cancel_request_id = 'r', stop_outcome = 'never_started'".to_owned()),
        (State::Started, "state = 'cancelled', cancelled_at = 1, cancel_by = 'a', cancel_cause = 'user', cancel_request_id = 'r', stop_outcome = 'graceful'".to_owned()),
        (State::Started, "state = 'paused'".to_owned()),
        (State::Started, "started_at = 'noon'".to_owned()),
    ] {
        let world = World::new();
        let id = world.run_in(from).id;
        refuses(&world, &format!("UPDATE runs SET version = version + 1, {set} WHERE id = {id}"));
    }
}

#[test]
fn a_lease_is_neither_taken_over_nor_taken_away() {
    let world = World::new();
    let id = world.run_in(State::Started).id;
    let refused = |set: &str, rule: &str| {
        let error = refuses(&world, &format!("UPDATE run_shards SET {set} WHERE run_id = {id}"));
        assert!(error.contains(rule), "{set}: {error}");
    };
    let again = "state = 'started', lease_renewed_at = 2, lease_expires_at = 3, lease_token";
    refused(&format!("{again} = 'mine'"), "a shard has one holder");
    refused(&format!("{again} = NULL"), "CHECK constraint failed");
    refused("started_by = 'me'", "a shard has one holder");
    refused("runner = 'me'", "a shard has one holder");
    refused("claim_request_id = 'mine'", "a shard has one holder");
    refused("shard = 2", "a shard that is closed never changes");
    refused("run_id = 4711", "a shard that is closed never changes");
    // Once its lease has run out it may be claimed again, as the service does it: by a claim at a later moment.
    let end = world.row(id).lease_expires_at.expect("a lease");
    world.sql(&format!(
        "UPDATE run_shards SET lease_token = 'next', lease_renewed_at = {end}, lease_expires_at = {end} + 1, started_at = {end}, \
         started_by = 'bob', claim_request_id = 'c2' WHERE run_id = {id}"
    ));
    assert_eq!(world.row(id).state, "started");
}

#[test]
fn no_change_of_a_run_goes_uncounted() {
    let world = World::new();
    let id = world.run_in(State::Queued).id;
    for version in ["", "version = version - 1, ", "version = version + 2, ", "version = version, "] {
        let error = refuses(&world, &format!("UPDATE runs SET {version}waiting_since = 5 WHERE id = {id}"));
        assert!(error.contains("each change of a run counts its version up"), "{version}: {error}");
    }
}

#[test]
fn a_shard_is_one_of_a_run_that_goes_on() {
    let claim = |id: i64, shard: i64| {
        format!(
            "INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, \
               claim_request_id) VALUES ({id}, {shard}, 'started', 't', 1, 2, 1, 'ada', 'c')"
        )
    };
    for state in [State::Pending, State::Ended, State::Error, State::Cancelled] {
        let world = World::new();
        refuses(&world, &claim(world.run_in(state).id, 2));
    }
    let world = World::new();
    let queued = world.run_in(State::Queued).id;
    refuses(&world, &claim(queued, 2));
    refuses(&world, &claim(4711, 1));
    world.sql(&claim(queued, 1));
    for set in [
        "state = 'paused'",
        "state = 'ended', ended_at = 1, finish_request_id = 'f'",
        "state = 'ended', result = 'maybe', ended_at = 1, finish_request_id = 'f'",
        "state = 'cancelled', stop_outcome = 'graceful', stop_closed_at = 1",
        "late_result = '{}'",
        "carried = 1",
        "failed = -1",
        "progress = 'half'",
        "failures = 'many'",
    ] {
        refuses(&world, &format!("UPDATE run_shards SET {set} WHERE run_id = {queued}"));
    }
    refuses(&world, &format!("DELETE FROM run_shards WHERE run_id = {queued}"));
    let over = world.run_in(State::Ended).id;
    for set in [
        "result = 'failed'",
        "counts = '{}'",
        "state = 'started', result = NULL",
        "lease_expires_at = 5",
        "failed = 7",
        "progress = '{}'",
        "failures = '[]'",
    ] {
        refuses(&world, &format!("UPDATE run_shards SET {set} WHERE run_id = {over}"));
    }
}

#[test]
fn the_record_is_kept() {
    let world = World::new();
    let id = world.run_in(State::Cancelled).id;
    for statement in [
        format!("DELETE FROM runs WHERE id = {id}"),
        format!("DELETE FROM run_events WHERE run_id = {id}"),
        format!("UPDATE run_events SET by = 'somebody else' WHERE run_id = {id}"),
        format!("UPDATE run_shards SET lease_expires_at = 1 WHERE run_id = {}", world.run_in(State::Ended).id),
        "DELETE FROM environments WHERE id = 2".to_owned(),
    ] {
        refuses(&world, &statement);
    }
}

#[test]
fn what_was_registered_never_changes_in_any_state() {
    for state in State::ALL.iter().copied() {
        let world = World::new();
        let id = world.run_in(state).id;
        for set in [
            "id = 4711",
            "project_id = 2",
            "environment_id = 2",
            "request_id = 'mine'",
            "request_hash = 'mine'",
            "created_at = 1",
            "created_by = 'me'",
            "branch = 'other'",
            "build = '{}'",
            "metadata = '{}'",
            "tags = '[1]'",
            "github_actor = 'me'",
            "total_shards = 7",
            "fail_fast = 7",
            "run_group = 'mine'",
            "concurrency_group = 'mine'",
            "protected = 1",
        ] {
            let error = refuses(&world, &format!("UPDATE runs SET version = version + 1, {set} WHERE id = {id}"));
            let rules =
                ["what was registered never changes", "CHECK constraint failed: ended_at IS NULL OR finished_shards"];
            assert!(rules.iter().any(|rule| error.contains(rule)), "{state:?} {set}: {error}");
        }
    }
}

#[test]
fn no_insert_takes_the_place_of_a_run() {
    let insert = |id: i64, request: &str| {
        format!(
            "INSERT OR REPLACE INTO runs (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
             VALUES ({id}, 1, 1, 'queued', '{request}', 1, 'me', 1)"
        )
    };
    for state in State::ALL.iter().copied() {
        let world = World::new();
        let id = world.run_in(state).id;
        let before = (world.row(id), world.history(id));
        // By its id, and by its request's, which does nothing.
        refuses(&world, &insert(id, "another"));
        world.sql(&insert(4711, "r0"));
        assert_eq!((world.row(id), world.history(id)), before, "{state:?}");
    }
}

#[test]
fn a_run_is_of_its_projects_environments() {
    let world = World::new();
    let error = refuses(
        &world,
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
         VALUES (1, 3, 'queued', 'x', 1, 'ada', 1)",
    );
    assert!(error.contains("a run is of its project's environments"), "{error}");
    refuses(&world, "UPDATE environments SET project_id = 2 WHERE id = 1");
    refuses(
        &world,
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since, open_shards) \
         VALUES (1, 1, 'queued', 'x', 1, 'ada', 1, 1)",
    );
}

#[test]
fn no_event_is_forged() {
    for state in State::ALL.iter().copied() {
        for step in 1..=7 {
            for (to, from) in [
                ("pending", "NULL"),
                ("queued", "NULL"),
                ("queued", "'pending'"),
                ("started", "'queued'"),
                ("ended", "'started'"),
                ("cancelled", "'queued'"),
                ("cancelled", "'cancelled'"),
            ] {
                for or in ["", "OR REPLACE "] {
                    let world = World::new();
                    let mut run = world.run_in(state);
                    let before = world.history(run.id);
                    let forged = format!(
                        "INSERT {or}INTO run_events (run_id, step, at, from_state, to_state, cause, by) \
                         VALUES ({}, {step}, 1, {from}, '{to}', 'user', 'nobody')",
                        run.id
                    );
                    refuses(&world, &forged);
                    assert_eq!(world.history(run.id), before, "{forged}");
                    if step == 4 && or.is_empty() {
                        assert_eq!(world.apply(&mut run, Event::Cancel), !state.is_over(), "{forged}");
                    }
                }
            }
        }
    }
    let world = World::new();
    refuses(
        &world,
        "INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by) VALUES (4711, 2, 1, NULL, 'queued', 'registered', 'me')",
    );
}

#[test]
fn a_key_stays_what_it_is_and_is_revoked_for_good() {
    let world = World::new();
    let plain = format!("estop_{}", "R".repeat(43));
    world.add_key(&plain, 1, (1, 1, 1), None, None);
    world.sql(
        "INSERT INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at, request_id) \
         SELECT 1, 'u', 'n', replace(hash, 'a', 'c'), 1, 1, 1, 1, 'key:r' FROM keys LIMIT 1",
    );
    world.sql(&format!("UPDATE keys SET revoked_at = 5 WHERE hash = '{}'", estop::key::KeyHash::of(&plain).as_str()));
    let hash = estop::key::KeyHash::of(&plain);
    let hash = hash.as_str();
    let own = format!("WHERE hash = '{hash}'");
    for statement in [
        format!("UPDATE keys SET revoked_at = NULL {own}"),
        format!("UPDATE keys SET revoked_at = 6 {own}"),
        format!("UPDATE keys SET expires_at = 6 {own}"),
        format!("UPDATE keys SET project_id = 2 {own}"),
        format!("UPDATE keys SET user = 'me' {own}"),
        format!("UPDATE keys SET hash = '{}' {own}", "0".repeat(64)),
        format!("UPDATE keys SET can_cancel = 0 {own}"),
        format!("DELETE FROM keys {own}"),
        format!(
            "INSERT OR REPLACE INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at) \
             VALUES (1, 'me', 'n', '{hash}', 1, 1, 1, 1)"
        ),
        "INSERT OR REPLACE INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at, request_id) \
         SELECT 1, 'me', 'n', replace(hash, 'a', 'b'), 1, 1, 1, 1, 'key:r' FROM keys WHERE revoked_at = 5"
            .to_owned(),
        "INSERT OR REPLACE INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at) \
         SELECT id, 1, 'me', 'n', replace(hash, 'a', 'b'), 1, 1, 1, 1 FROM keys WHERE revoked_at = 5"
            .to_owned(),
    ] {
        refuses(&world, &statement);
    }
    world.sql("UPDATE keys SET revoked_at = 7 WHERE revoked_at IS NULL");
}

#[test]
fn a_stop_record_closes_once() {
    let world = World::new();
    let id = world.run_in(State::Cancelled).id;
    let set = |set: &str| format!("UPDATE runs SET version = version + 1, {set} WHERE id = {id}");
    refuses(&world, &set("stop_outcome = 'killed'"));
    refuses(&world, &set("stop_outcome = 'lost', stop_closed_at = 1"));
    world.sql(&set("stop_outcome = 'lost', stop_closed_at = 1, open_shards = 0"));
    let shard = format!("SELECT state || stop_outcome FROM run_shards WHERE run_id = {id}");
    let shard: String = world.runtime.db.borrow().query_row(&shard, [], |row| row.get(0)).expect("its shard");
    assert_eq!(shard, "cancelledlost", "its shards close with it");
    for outcome in ["'graceful', stop_closed_at = 1", "'stopping', stop_closed_at = NULL", "NULL", "'lost'"] {
        refuses(&world, &set(&format!("stop_outcome = {outcome}")));
    }
    refuses(&world, &format!("UPDATE run_shards SET stop_outcome = 'graceful' WHERE run_id = {id}"));
}

#[test]
fn every_change_of_state_writes_one_event_with_cause_actor_and_reason() {
    let world = World::new();
    let mut run = world.run_in(State::Queued);
    world.pass(1000);
    world.apply(&mut run, Event::Claim);
    world.pass(1000);
    world.apply(&mut run, Event::Cancel);
    let db = world.runtime.db.borrow();
    let mut statement =
        db.prepare("SELECT at, from_state, to_state, cause, by, reason FROM run_events ORDER BY step").expect("SQL");
    type Event6 = (i64, Option<String>, String, String, String, Option<String>);
    let events: Vec<Event6> = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)))
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("events");
    let event = |at: i64, from: Option<&str>, to: &str, cause: &str, reason: Option<&str>| {
        (
            crate::world::NOW.0 + at,
            from.map(str::to_owned),
            to.to_owned(),
            cause.to_owned(),
            "ada".to_owned(),
            reason.map(str::to_owned),
        )
    };
    assert_eq!(
        events,
        [
            event(0, None, "queued", "registered", None),
            event(1000, Some("queued"), "started", "claimed", None),
            event(2000, Some("started"), "cancelled", "user", Some("why")),
        ]
    );
}
