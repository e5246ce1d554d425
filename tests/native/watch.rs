//! Lines to the hub: who gets one, and what a change of a run has the hub tell.

use estop::buckets::Bucket;
use estop::hub;
use estop::operations::{bulk_cancel, cancel, claim, finish, heartbeat, kill, watch};
use estop::run::{Event, Timeout};
use estop_protocol::run::{Finish, State};
use pollster::block_on;
use serde_json::{Value, json};

use crate::world::{Ask, LEASE, Run, World};

/// What the hub was told since the last look: the ids, states and versions of the runs.
fn told(world: &World) -> Vec<(i64, String, i64)> {
    let news = world.runtime.told.take();
    news.iter()
        .flat_map(|news| {
            assert_eq!(news.project, 1);
            serde_json::from_str::<Vec<Value>>(news.runs.get()).expect("runs")
        })
        .map(|mut changed| changed["run"].take())
        .map(|run| {
            let number = |name: &str| run[name].as_i64().expect("a number");
            (number("id"), run["state"].as_str().expect("a state").to_owned(), number("version"))
        })
        .collect()
}

#[test]
fn every_change_of_a_run_is_told_with_its_version() {
    let world = World::new();
    let id = world.register(&json!({"environment": "staging"}));
    assert_eq!(told(&world), [(id, "queued".to_owned(), 1)]);
    let mut run = Run { id, token: String::new() };
    world.apply(&mut run, Event::Claim);
    assert_eq!(told(&world), [(id, "started".to_owned(), 2)]);
    world.apply(&mut run, Event::Heartbeat);
    assert_eq!(told(&world), [], "a heartbeat changes nothing that anybody watches");
    world.apply(&mut run, Event::Cancel);
    assert_eq!(told(&world), [(id, "cancelled".to_owned(), 3)]);
    world.apply(&mut run, Event::Cancel);
    assert_eq!(told(&world), [(id, "cancelled".to_owned(), 3)], "it was over, and yet its tests run: told again");
    assert_eq!(world.ask(&kill::OPERATION, id, &json!({})).status, 200);
    assert_eq!(told(&world), [(id, "cancelled".to_owned(), 4)]);
    world.apply(&mut run, Event::Finish(Finish::Ended));
    assert_eq!(told(&world), [(id, "cancelled".to_owned(), 5)], "its stop is confirmed");
    world.apply(&mut run, Event::Cancel);
    assert_eq!(told(&world), [], "there is nothing more to stop");
}

#[test]
fn a_repeat_tells_again() {
    let world = World::new();
    let run = world.run_in(State::Started);
    world.runtime.told.take();
    let ask = Ask::new(&cancel::OPERATION).about(run.id).idempotent("k").body(&json!({}));
    for _ in 0..2 {
        assert_eq!(world.send(&ask).status, 200);
        assert_eq!(told(&world), [(run.id, "cancelled".to_owned(), 3)]);
    }
    let foreign = Ask::new(&cancel::OPERATION).about(run.id).idempotent("another").body(&json!({}));
    assert_eq!((world.send(&foreign).status, told(&world)), (412, vec![(run.id, "cancelled".to_owned(), 3)]));
}

#[test]
fn what_triggers_changed_with_a_run_is_told_with_it() {
    let world = World::new();
    world.sql(
        "UPDATE projects SET concurrency_scope = 'project', concurrency_behaviour = 'cancel_previous' WHERE id = 1",
    );
    let body = json!({"environment": "staging"});
    let first = world.register(&body);
    let mut second = Run { id: world.register(&body), token: String::new() };
    world.runtime.told.take();
    world.apply(&mut second, Event::Claim);
    world.runtime.told.take();
    let third = world.register(&body);
    let state = |id, state: &str, version| (id, state.to_owned(), version);
    assert_eq!(told(&world), [state(third, "queued", 1), state(second.id, "cancelled", 3)], "superseded and stopping");
    assert_eq!(world.row(first).state, "cancelled", "told with the second: it had not started");
    world.apply(&mut second, Event::Finish(Finish::Ended));
    let changed = told(&world);
    assert_eq!(changed[0], state(second.id, "cancelled", 4));
    assert!(changed.iter().any(|(id, state, _)| (*id, state.as_str()) == (third, "queued")), "its turn: {changed:?}");
}

#[test]
fn a_run_that_was_waiting_and_is_superseded_is_told_with_the_newer_one() {
    let world = World::new();
    world.sql(
        "UPDATE projects SET concurrency_scope = 'project', concurrency_behaviour = 'cancel_previous' WHERE id = 1",
    );
    let body = json!({"environment": "staging"});
    let first = world.register(&body);
    world.runtime.told.take();
    let second = world.register(&body);
    assert_eq!(told(&world), [(second, "queued".to_owned(), 1), (first, "cancelled".to_owned(), 2)]);
}

#[test]
fn a_promoted_run_is_told_with_the_one_that_let_go() {
    let world = World::new();
    world.sql("UPDATE projects SET concurrency_scope = 'project', concurrency_behaviour = 'queue_new' WHERE id = 1");
    let body = json!({"environment": "staging"});
    let first = world.register(&body);
    let second = world.register(&body);
    world.runtime.told.take();
    assert_eq!(world.ask(&cancel::OPERATION, first, &json!({})).status, 200);
    assert_eq!(told(&world), [(first, "cancelled".to_owned(), 2), (second, "queued".to_owned(), 2)]);
}

#[test]
fn bulk_cancels_fail_fast_and_the_sweeper_tell_too() {
    let world = World::new();
    let ids = [world.run_in(State::Queued).id, world.run_in(State::Started).id];
    world.runtime.told.take();
    world.send(&Ask::new(&bulk_cancel::OPERATION).body(&json!({"ids": ids})));
    assert_eq!(told(&world).iter().map(|(id, ..)| *id).collect::<Vec<_>>(), ids);

    let id = world.register(&json!({"environment": "staging", "fail_fast": 1}));
    let mut run = Run { id, token: String::new() };
    world.apply(&mut run, Event::Claim);
    world.runtime.told.take();
    let counts = json!({"total": 2, "success": 1, "failed": 1, "skipped": 0, "flaky": 0});
    world.ask(&heartbeat::OPERATION, id, &json!({"lease": run.token, "counts": counts}));
    assert_eq!(
        told(&world).iter().map(|(id, state, _)| (*id, state.as_str())).collect::<Vec<_>>(),
        [(id, "cancelled")]
    );

    let lapsed = world.run_in(State::Started).id;
    world.runtime.told.take();
    world.pass(LEASE + world.config.lapsed_after);
    block_on(estop::sweeper::tick(&world.database(), world.now.get())).expect("a tick");
    let told = told(&world);
    assert!(told.iter().any(|(id, state, _)| (*id, state.as_str()) == (lapsed, "cancelled")), "{told:?}");
    assert!(world.sweep(Timeout::Lapsed).is_empty());
}

#[test]
fn a_shards_lease_opens_its_line_until_the_shard_is_over() {
    let world = World::new();
    let mut run = world.run_in(State::Started);
    let line = |token: &str| world.send(&Ask::new(&watch::RUN).about(run.id).with_key("nobody's").with_lease(token));
    let opened = line(&run.token);
    let open = opened.line.expect("a line");
    assert_eq!(
        (opened.status, open.project, open.tags),
        (101, 1, vec!["lines".to_owned(), hub::line(run.id), hub::shard(1)])
    );
    let other = world.run_in(State::Started).token;
    assert_eq!((line(&other).status, line("00.1.x").status), (409, 409), "another run's lease, and nobody's");
    let token = run.token.clone();
    world.apply(&mut run, Event::Finish(Finish::Ended));
    let ask = Ask::new(&watch::RUN).about(run.id).with_lease(&token);
    assert_eq!(world.send(&ask).outcome, "not_the_holder");
}

#[test]
fn a_key_follows_a_run_of_its_project_or_all_of_them() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let of_run = world.send(&Ask::new(&watch::RUN).about(run.id)).line.expect("a line");
    assert_eq!(of_run.tags, [hub::run(run.id), hub::key(1), hub::bucket(Bucket::FIRST)]);
    let of_project = world.send(&Ask::new(&watch::PROJECT)).line.expect("a line");
    assert_eq!(
        (of_project.project, of_project.tags),
        (1, vec![hub::FEED.to_owned(), hub::key(1), hub::bucket(Bucket::FIRST)])
    );
    let other = world.add_key("estop_DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD", 2, (1, 1, 1), None, None);
    assert_eq!(world.send(&Ask::new(&watch::RUN).about(run.id).with_key(&other)).status, 404);
    assert_eq!(world.send(&Ask::new(&watch::PROJECT).with_key(&other)).line.expect("a line").project, 2);
}

#[test]
fn without_an_upgrade_the_answer_is_426_and_the_database_is_not_asked() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let before = world.runtime.batches.get();
    for operation in [&watch::RUN, &watch::PROJECT] {
        for lease in [None, Some(run.token.as_str())] {
            let ask = Ask { wants_websocket: false, lease, ..Ask::new(operation).about(run.id) };
            let reply = world.send(&ask);
            assert_eq!((reply.status, reply.line), (426, None));
            assert!(reply.headers.contains(&("Upgrade", "websocket".to_owned())));
        }
    }
    assert_eq!(world.runtime.batches.get(), before);
}

#[test]
fn the_claim_says_how_often_to_send_heartbeats_with_a_line_and_without() {
    let world = World::new();
    let id = world.register(&json!({"environment": "staging"}));
    let lease = crate::world::data(&world.ask(&claim::OPERATION, id, &json!({})))["lease"].clone();
    assert_eq!((&lease["heartbeat_seconds"], &lease["heartbeat_seconds_watched"]), (&json!(2), &json!(30)));
    let finish = World::finish_body(lease["token"].as_str().expect("a token"), Finish::Ended);
    assert_eq!(world.ask(&finish::OPERATION, id, &finish).status, 200);
}

#[test]
fn a_step_of_a_stop_is_told_to_those_who_watch_and_written_nowhere() {
    let world = World::new();
    let run = world.run_in(State::Cancelled);
    let running = world.run_in(State::Started);
    world.runtime.told.take();
    let before = (world.row(run.id), world.history(run.id));
    let beat =
        |id: i64, lease: &str, step: &str| world.ask(&heartbeat::OPERATION, id, &json!({"lease": lease, "step": step}));
    for step in ["told", "sigint", "sigterm", "sigkill"] {
        assert_eq!(beat(run.id, &run.token, step).status, 200);
        let news = world.runtime.told.take();
        let [news] = news.as_slice() else { panic!("{news:?}") };
        let frames = hub::frames(news.runs.get(), 10);
        let message: Value = serde_json::from_str(&frames[0].text).expect("JSON");
        let expected = json!({"type": "step", "test_run": run.id, "shard": 1, "step": step, "at": world.now.get()});
        assert_eq!((news.project, frames.len(), frames[0].tag.as_str()), (1, 1, hub::run(run.id).as_str()));
        assert_eq!(message, expected);
    }
    assert_eq!((world.row(run.id), world.history(run.id)), before);
    assert_eq!(beat(running.id, &running.token, "sigint").status, 200);
    assert_eq!(beat(run.id, "00.1.x", "sigint").status, 409);
    assert_eq!(beat(run.id, &run.token, "sigstop").status, 400);
    assert_eq!(told(&world), [], "a run that nobody has stopped, a lease that is none, a step that is none");
}
