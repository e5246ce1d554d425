//! An Idempotency-Key stands for one request: its repeat gets its answer, and anything else under it is refused.

use estop::operations::{admin, bulk_cancel, cancel, claim, finish, heartbeat, register};
use estop::run::Event;
use estop_protocol::run::{Finish, State};
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, ORIGIN, World, data};

#[test]
fn the_same_key_with_another_body_is_422_and_changes_nothing() {
    let world = World::new();
    let started = world.run_in(State::Started);
    let queued = world.run_in(State::Queued);
    let finished = |result: &str| json!({"lease": started.token, "state": "ended", "result": result});
    let project = |slug: &str, name: &str| json!({"name": name, "slug": slug});
    let key = |name: &str| json!({"project_id": 1, "user": "u", "name": name, "scopes": ["read"]});
    let run = |branch: &str| json!({"environment": "staging", "branch": branch});
    let person = |name: &str| json!({"project_id": 1, "address": format!("{name}@example.com"), "scopes": ["read"]});
    for (ask, first, other) in [
        (Ask::new(&register::OPERATION), run("main"), run("other")),
        (Ask::new(&claim::OPERATION).about(queued.id), json!({"runner": "a"}), json!({"runner": "b"})),
        (Ask::new(&finish::OPERATION).about(started.id), finished("passed"), finished("failed")),
        (Ask::new(&bulk_cancel::OPERATION), json!({"ids": [queued.id]}), json!({"ids": [queued.id], "reason": "x"})),
        (Ask::new(&admin::projects::CREATE).with_key(ADMIN), project("new", "New"), project("new", "Other")),
        (
            Ask::new(&admin::environments::CREATE).about(1).with_key(ADMIN),
            project("new", "New"),
            project("new", "Other"),
        ),
        (Ask::new(&admin::keys::CREATE).with_key(ADMIN), key("one"), key("two")),
        (Ask::new(&admin::people::ADMIT).with_key(ADMIN).idempotent("p"), person("ada"), person("eve")),
        (
            Ask::new(&admin::projects::CREATE).with_key(ADMIN).idempotent("slugs"),
            project("one-slug", "New"),
            project("another-slug", "New"),
        ),
        (
            Ask::new(&admin::environments::CREATE).about(1).with_key(ADMIN).idempotent("slugs"),
            project("one-slug", "New"),
            project("another-slug", "New"),
        ),
    ] {
        let what = ask.operation.name();
        let ask = if ask.idempotency_key.is_none() { ask.idempotent("k") } else { ask };
        let answer = world.send(&ask.clone().body(&first));
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        let changes = world.runtime.db.borrow().total_changes();
        let reused = world.send(&ask.clone().body(&other));
        assert_eq!((reused.status, reused.outcome), (422, "reused_idempotency_key"), "{what}: {reused:?}");
        assert_eq!(world.send(&ask.clone().body(&first)), answer, "{what}: a true repeat");
        assert_eq!(world.runtime.db.borrow().total_changes(), changes, "{what}: nothing was written");
    }
}

#[test]
fn on_the_contracts_cancel_route_a_reused_key_is_400() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let ask =
        |reason: &str| Ask::new(&cancel::OPERATION).about(run.id).idempotent("k").body(&json!({"reason": reason}));
    assert_eq!(world.send(&ask("one")).status, 200);
    let reused = world.send(&ask("two"));
    assert_eq!(reused.status, 400);
    assert!(reused.body.contains("Idempotency-Key"), "{reused:?}");
    assert_eq!(world.send(&ask("one")).status, 200);
    assert_eq!(world.row(run.id).cancel_reason.as_deref(), Some("one"));
}

#[test]
fn a_registration_that_superseded_a_run_did_not_cancel_it_by_hand() {
    let world = World::new();
    world.sql("UPDATE projects SET concurrency_scope = 'project' WHERE id = 1");
    let older = world.register(&json!({"environment": "staging"}));
    let ask = Ask::new(&register::OPERATION).idempotent("k").body(&json!({"environment": "staging"}));
    assert_eq!(world.send(&ask).status, 200);
    assert_eq!(world.row(older).cancel_cause.as_deref(), Some("superseded"));
    let cancel = world.send(&Ask::new(&cancel::OPERATION).about(older).idempotent("k").body(&json!({})));
    assert_eq!(cancel.status, 400, "{cancel:?}");
    // So it is for one that was superseded before requests had a hash.
    world.sql("DROP TRIGGER runs_over_is_over; DROP TRIGGER runs_count_their_versions; UPDATE runs SET cancel_request_hash = NULL");
    let cancel = world.send(&Ask::new(&cancel::OPERATION).about(older).idempotent("k").body(&json!({})));
    assert_eq!(cancel.status, 400, "{cancel:?}");
}

#[test]
fn a_request_from_before_hashes_were_kept_is_taken_for_a_repeat() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let ask = Ask::new(&cancel::OPERATION).about(run.id).idempotent("k").body(&json!({"reason": "why"}));
    let first = world.send(&ask);
    world.sql("DROP TRIGGER runs_over_is_over; DROP TRIGGER runs_count_their_versions; UPDATE runs SET cancel_request_hash = NULL");
    assert_eq!(world.send(&ask), first);
    let run = world.run_in(State::Started);
    let ask = Ask::new(&finish::OPERATION).about(run.id).idempotent("k");
    let ask = ask.body(&World::finish_body(&run.token, Finish::Ended));
    let first = world.send(&ask);
    // 0.1.0 wrote the key's id before it.
    world.sql("DROP TRIGGER run_shards_stay; UPDATE run_shards SET finish_request_hash = NULL, finish_request_id = '1:key:k' WHERE state = 'ended'");
    assert_eq!((first.status, world.send(&ask)), (200, first));
}

#[test]
fn a_repeated_creation_shows_the_same_key_and_only_where_it_is_the_same_admin() {
    let mut world = World::new();
    let body = json!({"project_id": 1, "user": "ada", "name": "CI", "scopes": ["cancel"]});
    let ask = || Ask::new(&admin::keys::CREATE).with_key(ADMIN).idempotent("k").body(&body);
    let first = world.send(&ask());
    assert_eq!(world.send(&ask()), first);
    let token = data(&first)["token"].as_str().expect("a token").to_owned();
    let run = world.run_in(State::Started);
    assert_eq!(world.send(&Ask::new(&cancel::OPERATION).about(run.id).with_key(&token)).status, 200);
    let without = |world: &World| {
        let reply = world.send(&Ask::new(&admin::keys::CREATE).with_key(ADMIN).body(&body));
        data(&reply)["token"].as_str().map(str::to_owned)
    };
    assert_ne!(without(&world), without(&world), "without an Idempotency-Key each is another");
    world.config.admin_token = Some("rotated".to_owned());
    let rotated = world.send(&ask().with_key("rotated"));
    assert_eq!(rotated.status, 409, "{rotated:?}");
    assert!(rotated.body.contains("Revoke it"), "{rotated:?}");
    let keys: i64 =
        world.runtime.db.borrow().query_row("SELECT count(*) FROM keys", [], |r| r.get(0)).expect("a count");
    assert_eq!(keys, 4);
}

/// A lease's own: whose key claimed it, and what has become of that, is of no account.
#[test]
fn a_runner_speaks_with_its_lease_alone() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    world.sql("UPDATE keys SET revoked_at = 1");
    let beat = |token: &str, authorization: Option<&str>| {
        let body = json!({"lease": token}).to_string();
        let id = run.id.to_string();
        let request = estop::http::request::Request {
            request_id: "request-1",
            id: &id,
            query: "",
            client: None,
            authorization,
            cookie: None,
            origin: None,
            own_origin: ORIGIN,
            assertion: None,
            if_none_match: None,
            slugs: ("", ""),
            bookmark: None,
            idempotency_key: None,
            content_type: None,
            wants_websocket: false,
            github: estop::http::request::GitHub::default(),
            lease: None,
            body: Ok(body.as_bytes()),
            now: world.now.get(),
        };
        world.answer(&heartbeat::OPERATION, &request)
    };
    let alive = beat(&run.token, None);
    assert_eq!(alive.status, 200, "{alive:?}");
    for header in ["", "Bearer", "Bearer estop_nonsense", &format!("Bearer {ADMIN}"), "Basic x"] {
        assert_eq!(beat(&run.token, Some(header)), alive, "{header}");
    }
    for token in ["somebody else's", "nobody's"] {
        assert_eq!(beat(token, None).status, 409);
    }
    // The stop order arrives all the same, and the stop can be confirmed.
    world.sql(&format!(
        "UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = started_at, cancel_cause = 'user', cancel_by = 'bob', \
         cancel_request_id = 'c', stop_outcome = 'stopping' WHERE id = {}",
        run.id
    ));
    let told: Value = serde_json::from_str(&beat(&run.token, None).body).expect("JSON");
    assert_eq!(told["data"]["stop"]["by"], "bob");
    assert!(!world.apply(&mut run, Event::Finish(Finish::Ended)), "the cancel stands");
    assert_eq!(world.row(run.id).stop_outcome.as_deref(), Some("graceful"));
}

#[test]
fn a_lease_ends_with_its_stop() {
    let world = World::new();
    let run = world.run_in(State::Cancelled);
    let beat = |token: &str| world.ask(&heartbeat::OPERATION, run.id, &json!({"lease": token}));
    assert_eq!(beat(&run.token).outcome, "told_to_stop");
    let token = run.token.clone();
    let finish = Ask::new(&finish::OPERATION).about(run.id).body(&World::finish_body(&token, Finish::Ended));
    let refused: Value = serde_json::from_str(&world.send(&finish).body).expect("JSON");
    assert_eq!((&refused["stop"]["reason"], &refused["stop"]["by"]), (&json!("why"), &json!("ada")), "{refused}");
    let after = world.ask(&heartbeat::OPERATION, run.id, &json!({"lease": token}));
    assert_eq!((after.status, after.outcome), (409, "not_the_holder"), "{after:?}");
    // One that was given up hears it, however late.
    let lost = world.run_in(State::Cancelled);
    world.sql(&format!("UPDATE runs SET version = version + 1, stop_outcome = 'lost', stop_closed_at = cancelled_at, open_shards = 0 WHERE id = {}", lost.id));
    let told = world.ask(&heartbeat::OPERATION, lost.id, &json!({"lease": lost.token}));
    assert_eq!(data(&told)["stop"]["lease_lost"], true);
}

#[test]
fn a_bulk_cancel_claims_no_other_write_for_its_own() {
    let world = World::new();
    world.sql("UPDATE projects SET concurrency_scope = 'project' WHERE id = 1");
    let older = world.register(&json!({"environment": "staging"}));
    let register = Ask::new(&register::OPERATION).idempotent("k").body(&json!({"environment": "staging"}));
    assert_eq!(world.send(&register).status, 200);
    let by_hand = world.run_in(State::Queued).id;
    let cancel = Ask::new(&cancel::OPERATION).about(by_hand).idempotent("k").body(&json!({}));
    assert_eq!(world.send(&cancel).status, 200);
    let bulk = Ask::new(&bulk_cancel::OPERATION).idempotent("k").body(&json!({"ids": [older, by_hand]}));
    let reply = data(&world.send(&bulk));
    assert_eq!(reply["cancelled"], json!([]), "{reply}");
    assert_eq!(reply["already_over"].as_array().map(Vec::len), Some(2), "{reply}");
}

#[test]
fn a_stranger_learns_nothing_of_a_run_by_guessing_leases() {
    let world = World::new();
    let answer = |id: i64| world.send(&Ask::new(&heartbeat::OPERATION).about(id).body(&json!({"lease": "guess"})));
    let of = |state| answer(world.run_in(state).id).body.replace(|c: char| c.is_ascii_digit(), "");
    let nowhere = answer(4711);
    assert_eq!((nowhere.status, nowhere.outcome), (409, "unknown_lease"));
    for state in State::ALL.iter().copied() {
        assert_eq!(of(state), nowhere.body.replace(|c: char| c.is_ascii_digit(), ""), "{state:?}");
    }
}
