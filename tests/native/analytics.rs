//! What became of runs, as the sweeper counts them: each once, on its day, whatever becomes of a tick.

use estop::operations::{analytics, cancel, finish};
use estop::run::{Event, Timeout};
use estop::runtime::DbError;
use estop::sweeper::{COUNT_ROWS, Tally, tick};
use estop_protocol::analytics::{Analytics, Counted};
use estop_protocol::run::{Finish, State};
use pollster::block_on;
use serde_json::json;

use crate::answers;
use crate::world::{Ask, Fault, LEASE, MINUTE, Run, World, data};

const DAY: i64 = 24 * 60 * MINUTE;

fn sweep(world: &World) -> Tally {
    block_on(tick(&world.database(), world.now.get())).expect("a tick")
}

fn ask(world: &World, query: &str) -> Analytics {
    let reply = world.send(&Ask::new(&analytics::OPERATION).query(query));
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    answers::read(data(&reply))
}

/// The runs that are counted, by the summary and by the days, which must agree.
fn total(world: &World, query: &str) -> i64 {
    let found = ask(world, query);
    assert_eq!(found.daily.iter().map(|day| day.total).sum::<i64>(), found.summary.total);
    found.summary.total
}

/// A run that took so long and passed.
fn passed(world: &World, span: i64) {
    let mut run = world.run_in(State::Started);
    world.pass(span);
    assert!(world.apply(&mut run, Event::Finish(Finish::Ended)));
}

/// A run that was stopped so long after its start, and took so long to stop.
fn stopped(world: &World, after: i64, takes: i64) {
    let run = world.run_in(State::Started);
    world.pass(after);
    assert_eq!(world.ask(&cancel::OPERATION, run.id, &json!({})).status, 200);
    confirm(world, &run, takes);
}

fn confirm(world: &World, run: &Run, takes: i64) {
    world.pass(takes);
    assert_eq!(world.ask(&finish::OPERATION, run.id, &World::finish_body(&run.token, Finish::Ended)).status, 412);
}

#[test]
fn every_end_of_a_run_is_counted() {
    let world = World::new();
    for state in State::ALL.iter().copied().filter(|state| *state != State::Cancelled) {
        world.run_in(state);
    }
    let mut failed = world.run_in(State::Started);
    let body = json!({"lease": failed.token, "state": "ended", "result": "failed"});
    assert_eq!(world.ask(&finish::OPERATION, failed.id, &body).status, 200);
    failed.token.clear();
    let never = world.run_in(State::Queued).id;
    assert_eq!(world.ask(&cancel::OPERATION, never, &json!({})).status, 200);
    stopped(&world, 10, 2_000);
    world.run_in(State::Started);
    assert_eq!(world.sweep(Timeout::Lapsed).len(), 2);
    sweep(&world);
    let Analytics { daily, summary, .. } = ask(&world, "days=1");
    let expected = json!({
        "total": 7, "passed": 1, "failed": 1, "errors": 1, "cancelled_runs": 4,
        "by_cause": {"user": 2, "stale": 2, "superseded": 0, "fail_fast": 0}, "lost": 2,
        "outcomes": {"never_started": 1, "graceful": 1, "terminated": 0, "killed": 0, "lost": 2},
        "stop_ms": {"p50": 1905, "p95": 1905}, "minutes_saved": {"user": 0.0, "superseded": 0.0},
    });
    let shown = json!(summary);
    let mut day = json!(daily[0]);
    assert_eq!(day["date"].take(), "2027-01-15");
    for (name, value) in expected.as_object().expect("counts") {
        assert_eq!((&shown[name], &day[name]), (value, value), "{name}");
    }
}

#[test]
fn a_cancelled_run_is_counted_when_its_runner_has_stopped_on_the_day_of_its_cancel() {
    let world = World::new();
    let run = world.run_in(State::Cancelled);
    assert_eq!((sweep(&world).counted, total(&world, "")), (0, 0), "it is stopping");
    confirm(&world, &run, 1_000);
    assert_eq!((sweep(&world).counted, total(&world, "")), (1, 1));
    assert_eq!(sweep(&world), Tally::default(), "and that was it");
}

#[test]
fn a_run_is_counted_once_whatever_becomes_of_the_tick() {
    for fault in [
        Fault::AfterCommit(DbError::Transient),
        Fault::BeforeCommit(DbError::Transient),
        Fault::AfterCommit(DbError::Deadline),
        Fault::BeforeCommit(DbError::Overloaded),
    ] {
        let world = World::new();
        for _ in 0..5 {
            world.run_in(State::Ended);
        }
        // The question whether anything is due goes well, and then that happens to the batch that counts.
        world.runtime.after.set(1);
        world.runtime.faults.borrow_mut().push_back(fault.clone());
        let _ = block_on(tick(&world.database(), world.now.get()));
        for _ in 0..3 {
            world.pass(MINUTE);
            sweep(&world);
        }
        assert_eq!(total(&world, ""), 5, "{fault:?}");
    }
}

#[test]
fn a_tick_counts_so_many_and_the_next_one_goes_on() {
    let world = World::new();
    let runs = 2 * COUNT_ROWS + 10;
    world.sql(&format!(
        "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
           SELECT 1, 1 + value % 2, 'queued', 'h' || value, 1, 'ada', 1 FROM (WITH RECURSIVE n(value) AS \
           (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {runs}) SELECT value FROM n); \
         UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = {now} - id * 60000, cancel_cause = 'user', \
           cancel_by = 'ada', cancel_request_id = 'r', stop_outcome = 'never_started'",
        now = world.now.get().0
    ));
    let mut counted = Vec::new();
    loop {
        let tally = sweep(&world);
        counted.push(i64::try_from(tally.counted).expect("few"));
        assert_eq!(tally.more, counted.len() < 3, "{tally:?}");
        if !tally.more {
            break;
        }
    }
    assert_eq!(counted, [COUNT_ROWS, COUNT_ROWS, 10]);
    assert_eq!(total(&world, ""), runs);
    assert_eq!(total(&world, "environment=staging") + total(&world, "environment=production"), runs);
}

#[test]
fn days_are_utc_oldest_first_and_those_without_runs_are_there() {
    let world = World::new();
    world.pass(DAY - world.now.get().0.rem_euclid(DAY) - 1);
    world.run_in(State::Ended);
    world.pass(1);
    world.run_in(State::Error);
    world.pass(2 * DAY);
    sweep(&world);
    let found = ask(&world, "days=5");
    let days: Vec<(&str, i64)> =
        found.daily.iter().map(|day| (day.date.as_deref().expect("a day"), day.total)).collect();
    let expected = [("2027-01-14", 0), ("2027-01-15", 1), ("2027-01-16", 1), ("2027-01-17", 0), ("2027-01-18", 0)];
    assert_eq!(days, expected);
    assert_eq!(ask(&world, "days=3").summary.total, 1);
    assert_eq!(ask(&world, "").daily.len(), 14);
    assert_eq!(ask(&world, "days=90").daily.len(), 90);
}

#[test]
fn minutes_saved_are_what_a_run_of_its_environment_takes_less_what_it_had_run() {
    let world = World::new();
    stopped(&world, MINUTE, 10);
    sweep(&world);
    assert_eq!(
        json!(ask(&world, "").summary.minutes_saved),
        json!({"user": 0.0, "superseded": 0.0}),
        "nothing to go by"
    );
    for minutes in [4, 10, 11] {
        passed(&world, minutes * MINUTE);
    }
    sweep(&world);
    stopped(&world, 4 * MINUTE, 10);
    sweep(&world);
    let Counted { minutes_saved, .. } = ask(&world, "").summary;
    // The median is 10, to an eighth.
    assert!((4.7..=7.3).contains(&minutes_saved.user), "{minutes_saved:?}");
    stopped(&world, 30 * MINUTE, 10);
    sweep(&world);
    let again = ask(&world, "").summary.minutes_saved;
    assert_eq!(json!(again), json!(minutes_saved), "one that ran longer saves nothing");
    let other = world.register(&json!({"environment": "production"}));
    assert_eq!(world.ask(&cancel::OPERATION, other, &json!({})).status, 200);
    sweep(&world);
    assert_eq!(
        json!(ask(&world, "environment=production").summary.minutes_saved),
        json!({"user": 0.0, "superseded": 0.0})
    );
    // What passed a month ago says nothing of today.
    world.pass(29 * DAY);
    stopped(&world, MINUTE, 10);
    sweep(&world);
    assert_eq!(json!(ask(&world, "days=2").summary.minutes_saved), json!({"user": 0.0, "superseded": 0.0}));
}

#[test]
fn a_run_that_another_took_the_place_of_saves_minutes_apart() {
    let world = World::new();
    world.sql(
        "UPDATE projects SET concurrency_scope = 'project', concurrency_behaviour = 'cancel_previous' WHERE id = 1",
    );
    let body = json!({"environment": "staging"});
    let mut first = Run { id: world.register(&body), token: String::new() };
    world.apply(&mut first, Event::Claim);
    world.pass(10 * MINUTE);
    world.apply(&mut first, Event::Finish(Finish::Ended));
    sweep(&world);
    world.register(&body);
    world.register(&body);
    sweep(&world);
    let Counted { by_cause, minutes_saved, .. } = ask(&world, "").summary;
    assert_eq!((by_cause.superseded, by_cause.user), (1, 0));
    assert!(minutes_saved.user == 0.0 && (8.7..=11.3).contains(&minutes_saved.superseded), "{minutes_saved:?}");
}

#[test]
fn as_of_stands_still_while_a_run_waits_to_be_counted() {
    let world = World::new();
    let minute = |ms: i64| estop_protocol::time::Timestamp(ms - ms % MINUTE);
    world.run_in(State::Ended);
    let closed = world.now.get().0;
    world.pass(10 * MINUTE);
    assert_eq!(ask(&world, "").as_of, minute(closed));
    sweep(&world);
    assert_eq!(ask(&world, "").as_of, minute(world.now.get().0));
}

#[test]
fn another_projects_runs_are_not_counted_and_an_unknown_environment_is_refused() {
    let world = World::new();
    world.run_in(State::Ended);
    world.pass(LEASE);
    sweep(&world);
    let other = world.add_key(&format!("estop_{}", "F".repeat(43)), 2, (1, 0, 0), None, None);
    let reply = world.send(&Ask::new(&analytics::OPERATION).with_key(&other));
    assert_eq!(data(&reply)["summary"]["total"], 0);
    for query in ["environment=staging", "environment=nowhere"] {
        let reply = world.send(&Ask::new(&analytics::OPERATION).with_key(&other).query(query));
        assert!(reply.status == 400 && reply.body.contains("`environment`"), "{query}: {reply:?}");
    }
    for query in ["days=0", "days=91", "day=1"] {
        assert_eq!(world.send(&Ask::new(&analytics::OPERATION).query(query)).status, 400, "{query}");
    }
}
