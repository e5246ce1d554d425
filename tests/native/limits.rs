//! What is refused so that nobody is harmed: addresses that knock too often, registrations of a full database, and times
//! that would run backwards.

use estop::http::operation::Access;
use estop::operations::{OPERATIONS, admin, cancel, claim, finish, health, heartbeat, openapi, register};
use estop::run::Event;
use estop::runtime::Limit;
use estop_protocol::run::{Finish, State};
use serde_json::json;

use crate::world::{ADMIN, Ask, LEASE, Run, World, body_of};

/// What counts against an address.
fn refusals(world: &World) -> usize {
    world.runtime.counted.borrow().iter().filter(|(limit, _)| *limit == Limit::Refusals).count()
}

#[test]
fn an_address_that_knocks_too_often_is_refused_for_a_minute_without_the_database() {
    let world = World::new();
    world.runtime.limits.set([usize::MAX, 3]);
    let run = world.run_in(State::Started);
    let knock = |client| Ask::new(&cancel::OPERATION).about(run.id).with_key("estop_nonsense").from(client);
    let knocks: Vec<_> = (0..4).map(|_| world.send(&knock("192.0.2.7"))).collect();
    assert!(knocks.iter().all(|reply| reply.status == 401 && !reply.is_routine));
    let told: Vec<bool> = knocks.iter().map(|reply| reply.detail.is_some()).collect();
    assert_eq!(told, [false, false, false, true], "the log says once that it is refused from now on");
    // Nobody knows this one here: a key that was let in a moment ago would pass.
    let stranger = world.add_key(&format!("estop_{}", "B".repeat(43)), 1, (1, 1, 1), None, None);
    let (batches, counted) = (world.runtime.batches.get(), refusals(&world));
    // What GitHub has signed comes from many addresses that others use too.
    for operation in OPERATIONS.iter().filter(|operation| !matches!(operation.access, Access::GitHub(_))) {
        let body = body_of(operation, &run);
        let reply = world.send(&Ask::new(operation).about(run.id).with_key(&stranger).from("192.0.2.7").body(&body));
        assert_eq!((reply.status, reply.outcome), (429, "too_many_refusals"), "{}", operation.name());
        assert_eq!(reply.headers, [("Retry-After", "61".to_owned())]);
        assert!(reply.is_routine, "and is not logged any more");
    }
    assert_eq!((world.runtime.batches.get(), refusals(&world)), (batches, counted), "it costs nothing more");
    assert_eq!(world.send(&knock("192.0.2.8")).status, 401, "others are not concerned");
    world.pass(60_000);
    assert_eq!(world.send(&Ask::new(&cancel::OPERATION).about(run.id).from("192.0.2.7")).status, 200);
}

#[test]
fn who_was_let_in_a_moment_ago_keeps_the_stop_button_at_a_blocked_address() {
    let world = World::new();
    world.runtime.limits.set([usize::MAX, 1]);
    let (run, other) = (world.run_in(State::Started), world.run_in(State::Started));
    let stranger = world.add_key(&format!("estop_{}", "B".repeat(43)), 1, (1, 1, 1), None, None);
    let at = |ask: Ask<'_>| world.send(&ask.from("2001:db8::1")).status;
    let show = || Ask::new(&estop::operations::show::OPERATION).about(run.id);
    let beat = |run: &Run| Ask::new(&heartbeat::OPERATION).about(run.id).body(&json!({"lease": run.token}));
    assert_eq!([at(show()), at(beat(&run))], [200, 200]);
    for _ in 0..2 {
        assert_eq!(at(show().with_key("estop_nonsense")), 401);
    }
    // From the same network, if not the same address.
    let from_there = |ask: Ask<'_>| world.send(&ask.from("2001:db8::9")).status;
    assert_eq!(from_there(show().with_key(&stranger)), 429, "nobody knows this key here yet");
    assert_eq!(from_there(beat(&other)), 429);
    let known = [show(), beat(&run), Ask::new(&cancel::OPERATION).about(run.id), beat(&run)];
    assert_eq!(known.map(from_there), [200; 4]);
    assert_eq!(from_there(Ask::new(&admin::keys::LIST).with_key(ADMIN)), 200);
    assert_eq!(world.send(&show().with_key(&stranger).from("2001:db8:0:1::1")).status, 200, "another network");
}

#[test]
fn a_key_over_its_rate_is_named_in_the_log() {
    let world = World::new();
    // The first was the claim.
    world.runtime.limits.set([2, usize::MAX]);
    let run = world.run_in(State::Started);
    let show = || world.send(&Ask::new(&estop::operations::show::OPERATION).about(run.id));
    let (first, second) = (show(), show());
    assert_eq!((first.status, second.status), (200, 429));
    assert!(first.key_id.is_some() && first.key_id == second.key_id, "{second:?}");
}

#[test]
fn whoever_has_no_credential_is_counted_and_nobody_else() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let revoked = world.add_key(&format!("estop_{}", "B".repeat(43)), 1, (1, 1, 1), None, Some(1));
    let unscoped = world.add_key(&format!("estop_{}", "C".repeat(43)), 1, (0, 0, 0), None, None);
    let counts = |ask: Ask<'_>| {
        let before = refusals(&world);
        let reply = world.send(&ask);
        (reply.status, refusals(&world) - before)
    };
    let cancel = || Ask::new(&cancel::OPERATION).about(run.id);
    let beat = |token: &str| Ask::new(&heartbeat::OPERATION).about(run.id).body(&json!({"lease": token}));
    assert_eq!(counts(cancel().with_key("estop_x")), (401, 1));
    assert_eq!(counts(cancel().with_key(&revoked)), (401, 1));
    assert_eq!(counts(Ask::new(&admin::keys::LIST).with_key("guess")), (401, 1));
    assert_eq!(counts(beat("guess")), (409, 1));
    assert_eq!(counts(Ask::new(&health::OPERATION)), (200, 1));
    assert_eq!(counts(cancel().with_key(&unscoped)), (403, 0));
    assert_eq!(counts(Ask::new(&admin::keys::LIST).with_key(ADMIN)), (200, 0));
    assert_eq!(counts(beat(&run.token)), (200, 0));
    assert_eq!(counts(Ask::new(&openapi::OPERATION)), (200, 0));
    assert_eq!(counts(cancel()), (200, 0));
    assert_eq!(counts(cancel()), (412, 0));
}

#[test]
fn a_lease_has_a_rate_of_its_own() {
    let world = World::new();
    world.runtime.limits.set([2, usize::MAX]);
    let (run, other) = (world.run_in(State::Started), world.run_in(State::Started));
    world.runtime.counted.borrow_mut().clear();
    let beat = |run: &Run| world.ask(&heartbeat::OPERATION, run.id, &json!({"lease": run.token})).status;
    assert_eq!([beat(&run), beat(&run), beat(&run), beat(&other)], [200, 200, 429, 200]);
}

#[test]
fn a_full_database_takes_no_more_runs_and_leaves_the_stop_button_to_those_it_has() {
    const PAGES: i64 = 1_200;
    let mut world = World::new();
    let page: i64 = world.runtime.db.borrow().query_row("PRAGMA page_size", [], |row| row.get(0)).expect("a size");
    world.sql(&format!("PRAGMA max_page_count = {PAGES}"));
    world.config.database_bytes = PAGES * page;
    let ask = |n: usize| {
        let body = json!({"environment": "staging", "metadata": {"noise": "x".repeat(900)}, "branch": format!("b{n}")});
        Ask::new(&register::OPERATION).body(&body)
    };
    let mut ids = Vec::new();
    let refused = loop {
        let reply = world.send(&ask(ids.len()));
        if reply.status != 200 {
            break reply;
        }
        ids.push(reply.run_id.expect("an id"));
    };
    assert_eq!((refused.status, refused.outcome), (507, "database_full"), "{refused:?}");
    assert!(refused.body.contains("DATABASE_BYTES"), "{refused:?}");
    assert!(ids.len() > 600, "{}", ids.len());
    // 200 cancels, 200 claims, 200 finishes of runs that were registered before.
    for id in &ids[..200] {
        assert_eq!(world.ask(&cancel::OPERATION, *id, &json!({"reason": "x".repeat(200)})).status, 200);
    }
    for id in &ids[200..400] {
        let mut run = Run { id: *id, token: String::new() };
        assert_eq!(world.ask(&claim::OPERATION, *id, &json!({})).status, 200);
        let token = format!("SELECT lease_token FROM run_shards WHERE run_id = {id}");
        run.token = world.runtime.db.borrow().query_row(&token, [], |row| row.get(0)).expect("a token");
        let body = World::finish_body(&run.token, Finish::Ended);
        assert_eq!(world.ask(&finish::OPERATION, *id, &body).status, 200);
    }
    // Who may not, hears that first; and a repeat of what was registered gets its answer.
    assert_eq!(world.send(&ask(1).with_key("estop_x")).status, 401);
    world.config.database_bytes = i64::MAX;
    let first = world.send(&ask(1).idempotent("k"));
    world.config.database_bytes = PAGES * page;
    assert_eq!((first.status, world.send(&ask(1).idempotent("k"))), (200, first));
    // SQLite's own limit is told as what it is.
    world.config.database_bytes = i64::MAX;
    let (mut reply, before) = (world.send(&ask(0)), world.runtime.batches.get());
    let mut sent = 0;
    while reply.status == 200 {
        reply = world.send(&ask(0));
        sent += 1;
    }
    assert_eq!((reply.status, world.runtime.batches.get() - before), (507, sent), "and not tried again");
}

#[test]
fn times_never_go_backwards() {
    let world = World::new();
    let times = |id: i64| -> Vec<i64> {
        let db = world.runtime.db.borrow();
        let mut select = db.prepare("SELECT at FROM run_events WHERE run_id = ?1 ORDER BY step").expect("SQL");
        select.query_map([id], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("times")
    };
    let in_order = |id: i64| {
        let (times, row) = (times(id), world.row(id));
        assert!(times.is_sorted(), "{times:?}");
        assert!(row.stop_closed_at.is_none_or(|closed| Some(closed) >= row.cancelled_at), "{row:?}");
    };
    // A request that took so long that its clock is a minute behind what is there.
    let late = |f: &dyn Fn()| {
        world.pass(-60_000);
        f();
        world.pass(60_000);
    };
    for event in [Event::Cancel, Event::Finish(Finish::Ended)] {
        let mut run = world.run_in(State::Started);
        let id = run.id;
        world.pass(-60_000);
        assert!(world.apply(&mut run, event));
        world.pass(60_000);
        in_order(id);
    }
    let queued = world.run_in(State::Queued);
    late(&|| assert_eq!(world.ask(&claim::OPERATION, queued.id, &json!({})).status, 200));
    in_order(queued.id);
    let lease = format!(
        "SELECT lease_renewed_at >= started_at AND lease_expires_at > started_at FROM run_shards WHERE run_id = {}",
        queued.id
    );
    let sane: bool = world.runtime.db.borrow().query_row(&lease, [], |row| row.get(0)).expect("a lease");
    assert!(sane, "a lease begins with its claim");
    let cancelled = world.run_in(State::Cancelled);
    let body = World::finish_body(&cancelled.token, Finish::Ended);
    late(&|| assert_eq!(world.ask(&finish::OPERATION, cancelled.id, &body).status, 412));
    in_order(cancelled.id);
    let bulk = world.run_in(State::Started);
    let body = json!({"ids": [bulk.id]});
    late(&|| {
        let reply = world.send(&Ask::new(&estop::operations::bulk_cancel::OPERATION).body(&body));
        assert_eq!(reply.status, 200);
    });
    in_order(bulk.id);
    for timeout in [estop::run::Timeout::Lapsed, estop::run::Timeout::OverAge] {
        let run = world.run_in(State::Started);
        world.pass(-LEASE - 60_000);
        world.sql(&format!(
            "UPDATE run_shards SET lease_renewed_at = 1, lease_expires_at = 2 WHERE run_id = {}",
            run.id
        ));
        world.sweep(timeout);
        world.pass(LEASE + 60_000);
        in_order(run.id);
    }
    world.sql("UPDATE projects SET concurrency_scope = 'project' WHERE id = 1");
    let older = world.register(&json!({"environment": "staging"}));
    late(&|| assert!(world.register(&json!({"environment": "staging"})) > older));
    assert_eq!(world.row(older).cancel_cause.as_deref(), Some("superseded"));
    in_order(older);
}
