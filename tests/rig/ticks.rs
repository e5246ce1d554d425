//! The ticks of several databases: one that is down, slow, or dies in the middle stops its own projects alone.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{Backend, Fault};
use crate::bucket::Bucket;
use crate::client::{Answer, Server, eventually};
use crate::databases::project_in;
use crate::receiver::{self, Receiver};
use crate::workerd::{DEADLINE, Rig, timed};

const DAY: i64 = 86_400_000;
/// Longer than a test takes.
const FOR_EVER: u32 = 1_000_000;

fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis()).expect("milliseconds")
}

/// A Worker over several databases, with a bucket for the archive, a project in each database, and a receiver that hears of all runs.
struct House {
    rig: Rig,
    projects: Vec<Project>,
    receiver: Receiver,
    /// When all of them have something to sweep, to count and to archive.
    then: i64,
}

/// A project with an old run that has ended, and one whose runner is silent.
struct Project {
    server: Server,
    db: Backend,
    id: i64,
    key: String,
    ended: i64,
    silent: i64,
}

impl Project {
    fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.server.call(&self.key, method, path, Some(body))
    }

    fn queued(&self) -> Answer {
        self.call("PUT", "/api/test-runs", &json!({"environment": "staging"}))
    }

    fn started(&self) -> (i64, Value) {
        let id = self.queued().ok()["data"]["test_run"]["id"].as_i64().expect("an id");
        let claimed = self.call("POST", &format!("/api/test-runs/{id}/claim"), &json!({})).ok();
        (id, claimed["data"]["lease"]["token"].clone())
    }

    /// Whether all is done that a tick had to do: swept, counted once, archived.
    fn is_done(&self) -> bool {
        self.db.value(&format!(
            "SELECT (SELECT state || stop_outcome FROM runs WHERE id = {}) IS 'cancelledlost'
                AND NOT EXISTS (SELECT 1 FROM closed_runs)
                AND (SELECT passed || ' ' || by_stale FROM (SELECT sum(passed) AS passed, sum(by_stale) AS by_stale FROM daily_runs
                      WHERE project_id = {} AND environment_id = 0)) IS '1 1'
                AND (SELECT group_concat(run_ids) FROM archives) IS ',{},'",
            self.silent, self.id, self.ended
        ))
    }
}

impl House {
    fn of(databases: usize) -> Self {
        Self::with(databases, |config| config)
    }

    fn with(databases: usize, change: impl FnOnce(String) -> String) -> Self {
        let bucket = Bucket::start();
        let map: Vec<String> = (1..databases).map(|number| format!("k{number}={number}")).collect();
        let rig = Rig::start_with_databases_and(databases, &map.join(" "), |config| {
            let service =
                format!(r#"services = [(name = "r2", external = (address = "{}", http = ())), "#, bucket.address);
            let binding = r#"bindings = [(name = "ARCHIVES", r2Bucket = "r2"), "#;
            change(config.replacen("services = [", &service, 1).replacen("bindings = [", binding, 1))
        });
        let receiver = Receiver::start(|_| receiver::Answer::status(204));
        let projects = (0..databases)
            .map(|number| {
                let bucket = if number == 0 { "00".to_owned() } else { format!("k{number}") };
                let (id, key) = project_in(&rig, &bucket, number);
                let db = rig.database(number).clone();
                db.sql(&format!(
                    r#"UPDATE projects SET retention_days = 30 WHERE id = {id};
                       INSERT INTO webhooks (project_id, url, events, format, origin, created_at, request_id, request_hash)
                       VALUES ({id}, '{}', '["run.started","run.ended","run.cancelled","run.stopped"]', 'standard', 'o', 1, 'w', 'h')"#,
                    receiver.url
                ));
                let mut project = Project { server: rig.server.clone(), db, id, key, ended: 0, silent: 0 };
                let (ended, lease) = project.started();
                let body = json!({"lease": lease, "state": "ended", "result": "passed"});
                project.call("POST", &format!("/api/test-runs/{ended}/finish"), &body).ok();
                project.ended = ended;
                project.silent = project.started().0;
                project
            })
            .collect::<Vec<_>>();
        let house = Self { rig, projects, receiver, then: now() + 40 * DAY };
        // Right after the answers, from the database of each.
        for project in &house.projects {
            house.hears(project.ended, "run.ended");
            house.hears(project.silent, "run.started");
            // And recorded: a tick of a later day takes an attempt of which nothing is known for lost.
            let due = "SELECT count(*) FROM deliveries WHERE state = 'due'";
            eventually("recorded", || (project.db.value::<i64>(due) == 0).then_some(()));
        }
        house
    }

    fn hears(&self, run: i64, event: &str) {
        let told = (event.to_owned(), run);
        eventually(&format!("{told:?}"), || self.receiver.events().contains(&told).then_some(()));
    }

    /// What a tick does is done, and the receiver has heard of it.
    fn is_done(&self, number: usize) {
        let project = &self.projects[number];
        eventually(&format!("database {number} is swept, counted and archived"), || project.is_done().then_some(()));
        self.hears(project.silent, "run.cancelled");
        let told: Vec<(String, i64)> =
            self.receiver.events().into_iter().filter(|(_, run)| *run == project.silent).collect();
        let expected = ["run.started", "run.cancelled"].map(|event| (event.to_owned(), project.silent));
        assert_eq!(told, expected, "each once, in their order");
    }

    fn others(&self, dead: usize) -> impl Iterator<Item = usize> {
        (0..self.projects.len()).filter(move |number| *number != dead)
    }

    /// The errors of the ticks in the log, by database.
    fn errors(&self) -> Vec<(i64, Value)> {
        let log = self.rig.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok());
        lines
            .filter(|line| line["log"] == "tick" && !line["error"].is_null())
            .map(|line| (line["database"]["number"].as_i64().expect("a number"), line["error"].clone()))
            .collect()
    }
}

#[test]
fn a_tick_goes_over_every_database() {
    let house = House::of(3);
    house.rig.tick(house.then);
    for number in 0..3 {
        house.is_done(number);
    }
    assert_eq!(house.errors(), []);
    for name in ["tick", "webhooks", "archive"] {
        for number in 0..3 {
            let wanted = format!(r#""database":{{"number":{number}"#);
            let log = format!(r#""log":"{name}""#);
            eventually(&format!("a line of {name} with {number}"), || {
                house.rig.log().lines().any(|line| line.contains(&log) && line.contains(&wanted)).then_some(())
            });
        }
    }
}

#[test]
fn a_database_that_is_down_stops_its_own_projects_alone() {
    for databases in [2, 3] {
        for dead in 0..databases {
            for fault in [Fault::SilentBefore, Fault::ErrorBefore("D1 DB is overloaded. Requests queued for too long.")]
            {
                let house = House::of(databases);
                house.rig.database(dead).inject(fault, FOR_EVER);
                thread::scope(|scope| {
                    scope.spawn(|| house.rig.tick(house.then));
                    for number in house.others(dead) {
                        house.is_done(number);
                        // None waits for the dead one.
                        let (answer, took) = timed(|| house.projects[number].queued());
                        assert!(answer.status == 200 && took < DEADLINE, "{fault:?} of {dead}: {took:?} {answer:?}");
                    }
                });
                let refused = house.projects[dead].queued();
                assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{refused:?}");
                eventually("its error in the log", || {
                    let error = if fault == Fault::SilentBefore { "d1_deadline" } else { "d1_overloaded" };
                    (house.errors() == [(i64::try_from(dead).expect("few"), json!(error))]).then_some(())
                });
                assert!(!house.projects[dead].is_done());

                house.rig.database(dead).heal();
                house.rig.tick(house.then);
                house.is_done(dead);
                house.projects[dead].queued().ok();
            }
        }
    }
}

/// One batch after the other is the last one that it answers; each that follows is committed or not, and never answered.
#[test]
fn a_database_that_dies_in_the_middle_of_its_tick_catches_up() {
    for fault in [Fault::SilentBefore, Fault::SilentAfter, Fault::ClosedAfter] {
        for well in 0..6 {
            let house = House::of(2);
            house.rig.database(1).inject_after(well, fault, FOR_EVER);
            house.rig.tick(house.then);
            house.is_done(0);
            // Until its tick is over: while it goes on, the object says that it is busy.
            eventually("the end of the tick", || {
                (!house.errors().is_empty() || house.rig.log().contains(r#""error":"d1_"#)).then_some(())
            });
            house.rig.database(1).heal();
            // What was taken of the outbox is due again after a minute.
            let mut then = house.then;
            eventually("a tick after it", || {
                then += 61_000;
                house.rig.tick(then);
                house.projects[1].is_done().then_some(())
            });
            house.hears(house.projects[1].silent, "run.cancelled");
            let cancelled =
                format!("SELECT count(*) FROM run_events WHERE run_id = {} AND step = 4", house.projects[1].silent);
            assert_eq!(house.rig.database(1).value::<i64>(&cancelled), 1, "{fault:?} after {well}");
        }
    }
}

#[test]
fn a_slow_database_has_one_tick_at_a_time_and_holds_up_nobody() {
    let house = House::of(3);
    house.rig.database(1).lag(Duration::from_millis(1500));
    let ((), took) = timed(|| house.rig.tick(house.then));
    house.is_done(0);
    house.is_done(2);
    assert!(!house.projects[1].is_done(), "it has only begun");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    // The next minute comes while it goes on, twice at once.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| house.rig.tick(house.then));
        }
    });
    house.is_done(1);
    let busy: Vec<_> = house.errors().into_iter().filter(|(number, _)| *number == 1).collect();
    assert_eq!(busy, [(1, json!("busy")), (1, json!("busy"))]);
    // After it there is another.
    house.rig.database(1).lag(Duration::ZERO);
    let ticks = || house.rig.log().matches(r#""database":{"number":1,"bytes""#).count();
    eventually("a tick after it", || {
        house.rig.tick(house.then);
        (ticks() > 1).then_some(())
    });
}

#[test]
fn a_slow_first_database_holds_up_nobody_either() {
    let house = House::of(3);
    house.rig.database(0).lag(Duration::from_millis(1500));
    thread::scope(|scope| {
        scope.spawn(|| house.rig.tick(house.then));
        house.is_done(1);
        house.is_done(2);
        assert!(!house.projects[0].is_done(), "it has only begun");
    });
    house.is_done(0);
    assert_eq!(house.errors(), []);
}

#[test]
fn ticks_that_overlap_or_come_twice_do_everything_once() {
    let house = House::of(2);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| house.rig.tick(house.then));
        }
    });
    house.rig.tick(house.then);
    for number in 0..2 {
        house.is_done(number);
    }
}

#[test]
fn without_the_objects_that_tick_the_others_the_first_database_is_ticked_all_the_same() {
    let house = House::with(2, |config| config.replacen(r#"(name = "HUB", durableObjectNamespace = "Hub"), "#, "", 1));
    house.rig.tick(house.then);
    house.is_done(0);
    assert_eq!(house.errors(), [(1, json!("not_begun"))]);
    assert!(!house.projects[1].is_done());
}

#[test]
fn no_client_can_have_a_database_ticked() {
    let house = House::of(2);
    let order = format!("1 {}", house.then);
    house.rig.database(1).count();
    let key = format!("Bearer {}", house.projects[0].key);
    for path in ["/healthz", "/api/watch", "/api/test-runs"] {
        house.rig.server.send("GET", path, &[("x-estop-tick", &order), ("Authorization", &key)], b"");
    }
    let headers = [("x-estop-tick", order.as_str()), ("Authorization", &key)];
    let mut line = crate::line::Line::open(&house.rig.server, "/api/watch", &headers).expect("a line");
    assert_eq!(line.within(Duration::from_secs(1)), None);
    assert!(!house.projects[1].is_done());
    assert!(!house.rig.log().contains(r#""log":"tick""#));
}
