//! A bucket that is being moved, or has moved and is still to be removed: a tick changes nothing of it, and goes on with all others.

use std::cell::RefCell;
use std::collections::BTreeMap;

use estop::archive;
use estop::operations::{admin, cancel, claim, finish, register};
use estop::runtime::LocalFuture;
use estop::sweeper::{self, Tally};
use estop::webhooks::plan::Heard;
use estop::webhooks::{self, LEASE as DELIVERY_LEASE, Post, Sender, Which};
use pollster::block_on;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, KEY, MINUTE, World, data};

const DAY: i64 = 24 * 60 * MINUTE;

/// The project that stays, and the one whose bucket moves.
const STAYS: Project = Project { id: 1, key: KEY };
const MOVES: Project = Project { id: 3, key: "estop_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB" };

/// How the bucket is while it is copied away, and afterwards until it is removed; and how it is where it is copied to.
const FROZEN: [&str; 3] = [
    "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('k3', 'leaving', 1, 1, 1)",
    "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('k3', 'moved', 1, 1, 1)",
    "INSERT INTO buckets (bucket, state, moved_from, since, frozen) VALUES ('k3', 'arriving', 1, 1, 1)",
];
const THAWED: &str = "DELETE FROM buckets WHERE bucket = 'k3'";

/// All that there is of project 3, table by table.
const TABLES: [(&str, &str); 11] = [
    ("projects", "id = 3"),
    ("environments", "project_id = 3"),
    ("runs", "project_id = 3"),
    ("run_shards", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("run_events", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("closed_runs", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
    ("daily_runs", "project_id = 3"),
    ("archives", "project_id = 3"),
    ("webhooks", "project_id = 3"),
    ("deliveries", "webhook_id IN (SELECT id FROM webhooks WHERE project_id = 3)"),
    ("check_runs", "run_id IN (SELECT id FROM runs WHERE project_id = 3)"),
];

#[derive(Clone, Copy)]
struct Project {
    id: i64,
    key: &'static str,
}

/// Whoever hears of runs: a receiver that is well, and GitHub.
#[derive(Default)]
struct Receiver<'a> {
    heard: RefCell<Vec<Post>>,
    /// What happens while it thinks.
    meanwhile: Option<&'a dyn Fn()>,
}

impl Sender for Receiver<'_> {
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>> {
        if let Some(meanwhile) = self.meanwhile {
            meanwhile();
        }
        self.heard.borrow_mut().extend(posts.iter().cloned());
        let heard = posts.iter().map(|post| match post.grant {
            Some(_) => Heard { status: Some(201), id: Some(900), calls: 1, ..Heard::default() },
            None => Heard { status: Some(204), ..Heard::default() },
        });
        let heard = heard.collect();
        Box::pin(async move { heard })
    }
}

/// Two projects alike, each in a bucket of its own; everything is in one database.
fn world() -> World {
    let world = World::new();
    *world.runtime.bucket.borrow_mut() = Some(BTreeMap::new());
    world.sql(
        "INSERT INTO projects (id, slug, name, request_id, created_at, bucket) VALUES (3, 'three', 'Three', 'p3', 1, 'k3');
         INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (9, 3, 'staging', 'Staging', 'e9', 1);
         UPDATE projects SET retention_days = 30 WHERE id <> 2",
    );
    world.add_key(MOVES.key, MOVES.id, (1, 1, 1), None, None);
    world
}

/// Every row of project 3, with all its columns.
fn dump(world: &World) -> Vec<String> {
    let db = world.runtime.db.borrow();
    let rows = TABLES.iter().flat_map(|(table, which)| {
        let mut select = db.prepare(&format!("SELECT * FROM {table} WHERE {which} ORDER BY 1, 2")).expect("SQL");
        let columns = select.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cells = (0..columns).map(|index| row.get::<_, Cell>(index)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{table}: {cells:?}"))
        };
        select.query_map([], row).expect("rows").collect::<Result<Vec<_>, _>>().expect("rows")
    });
    rows.collect()
}

fn count(world: &World, query: &str) -> i64 {
    world.runtime.db.borrow().query_row(query, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{error}: {query}"))
}

impl Project {
    fn ask(self, world: &World, ask: Ask<'_>) -> Value {
        let reply = world.send(&ask);
        assert_eq!(reply.status, 200, "{reply:?}");
        data(&reply)
    }

    fn registered(self, world: &World, extra: &Value) -> i64 {
        let mut body = json!({"environment": "staging"});
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        let made = self.ask(world, Ask::new(&register::OPERATION).with_key(self.key).body(&body));
        made["test_run"]["id"].as_i64().expect("an id")
    }

    fn claimed(self, world: &World, id: i64) -> String {
        let made = self.ask(world, Ask::new(&claim::OPERATION).with_key(self.key).about(id).body(&json!({})));
        made["lease"]["token"].as_str().expect("a token").to_owned()
    }

    fn ended(self, world: &World, id: i64, token: &str) {
        let body = json!({"lease": token, "state": "ended", "result": "passed"});
        self.ask(world, Ask::new(&finish::OPERATION).about(id).body(&body));
    }

    fn cancelled(self, world: &World, id: i64) {
        self.ask(world, Ask::new(&cancel::OPERATION).with_key(self.key).about(id).body(&json!({"reason": "why"})));
    }

    fn webhook(self, world: &World) -> i64 {
        let body = json!({"url": "https://example.com/hooks"});
        let made = Ask::new(&admin::webhooks::CREATE).with_key(ADMIN).about(self.id).body(&body);
        self.ask(world, made)["webhook"]["id"].as_i64().expect("an id")
    }

    /// Old runs that are counted, and that the archive may have.
    fn long_ago(self, world: &World) {
        for _ in 0..3 {
            let id = self.registered(world, &json!({}));
            let token = self.claimed(world, id);
            self.ended(world, id, &token);
        }
    }

    /// Something for each statement of a tick.
    fn busy(self, world: &World) {
        let repo = json!({"repo_name": format!("acme/p{}", self.id), "check_runs": true, "cancel_ci": true});
        self.ask(world, Ask::new(&admin::projects::CHANGE).with_key(ADMIN).about(self.id).body(&repo));
        let (hook, off) = (self.webhook(world), self.webhook(world));
        // More than are kept.
        world.sql(&format!(
            "INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state)
             SELECT {hook}, -value, 4, 'run.ended', 'old', '{{}}', 1, 1, 'delivered' FROM (WITH RECURSIVE n(value) AS
               (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 120) SELECT value FROM n)"
        ));
        // Nobody claims it; a shard of it that nobody claims; its runner falls silent; it goes on for hours.
        self.registered(world, &json!({}));
        let of_two = self.registered(world, &json!({"group": "of-two", "total_shards": 2}));
        let token = self.claimed(world, of_two);
        self.ended(world, of_two, &token);
        let silent = self.registered(world, &json!({}));
        self.claimed(world, silent);
        let long = self.registered(world, &json!({}));
        self.claimed(world, long);
        // Stopped, and nobody confirms it; ended, and cancelled before it began: both closed, and not counted.
        let stopping = self.registered(world, &json!({}));
        self.claimed(world, stopping);
        self.cancelled(world, stopping);
        let build = json!({"commit": "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00", "url": "https://github.com/a/b/actions/runs/4711"});
        let done = self.registered(world, &json!({"build": build}));
        let token = self.claimed(world, done);
        self.ended(world, done, &token);
        let never = self.registered(world, &json!({"build": build}));
        self.cancelled(world, never);
        world.sql(&format!(
            "UPDATE run_shards SET lease_expires_at = lease_expires_at + {} WHERE run_id = {long};
             INSERT INTO check_runs (run_id, check_run_id, repo_name) VALUES ({long}, 1, 'acme/p{}');
             UPDATE webhooks SET disabled_at = 1, disabled_why = 'admin' WHERE id = {off}",
            2 * DAY,
            self.id,
        ));
    }

    /// What became of its runs and deliveries: whatever two projects alike have in common.
    fn outcome(self, world: &World) -> Vec<(String, i64)> {
        let id = self.id;
        [
            format!("SELECT state || ' ' || coalesce(result, stop_outcome), count(*) FROM runs WHERE project_id = {id} GROUP BY 1"),
            format!(
                "SELECT 'counted', sum(passed) * 1000000 + sum(by_stale) * 10000 + sum(by_user) * 100 + sum(lost) FROM daily_runs
                  WHERE project_id = {id} AND environment_id = 0"
            ),
            format!("SELECT 'archived', runs FROM archives WHERE project_id = {id}"),
            format!(
                "SELECT coalesce(w.github, w.disabled_why, 'webhook') || ' ' || d.state || coalesce(' ' || d.failure, ''), count(*) FROM webhooks w CROSS JOIN deliveries d ON d.webhook_id = w.id
                  WHERE w.project_id = {id} GROUP BY 1"
            ),
            format!("SELECT 'check runs', count(*) FROM check_runs JOIN runs ON id = run_id WHERE project_id = {id}"),
            format!("SELECT 'uncounted', count(*) FROM closed_runs JOIN runs ON id = run_id WHERE project_id = {id}"),
        ]
        .iter()
        .flat_map(|query| {
            let db = world.runtime.db.borrow();
            let mut select = db.prepare(query).unwrap_or_else(|error| panic!("{error}: {query}"));
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
            rows.collect::<Result<Vec<_>, _>>().expect("rows")
        })
        .collect()
    }
}

/// What the edge does each minute.
fn tick(world: &World, receiver: &Receiver<'_>) -> Tally {
    let (database, now) = (world.database(), world.now.get());
    let tally = block_on(sweeper::tick(&database, now)).expect("a tick");
    if tally.has_deliveries {
        block_on(webhooks::deliver(&database, receiver, Which::Due, now)).expect("it is sent");
    }
    if !tally.more {
        block_on(archive::step(&database, now)).expect("a step");
    }
    tally
}

fn a_day_of_ticks(world: &World, receiver: &Receiver<'_>) {
    for _ in 0..24 * 12 {
        world.pass(5 * MINUTE);
        tick(world, receiver);
    }
}

#[test]
fn nothing_of_a_bucket_changes_while_it_moves_and_all_others_go_on() {
    for frozen in FROZEN {
        let world = world();
        let receiver = Receiver::default();
        MOVES.long_ago(&world);
        STAYS.long_ago(&world);
        tick(&world, &receiver);
        world.pass(31 * DAY);
        // Its own come first wherever there is an order.
        MOVES.busy(&world);
        STAYS.busy(&world);
        world.sql(frozen);
        let before = dump(&world);
        for (table, _) in TABLES.iter().filter(|(table, _)| *table != "archives") {
            assert!(before.iter().any(|row| row.starts_with(table)), "there is nothing in {table}");
        }

        // What a request of another project sends at once is sent, although there is something fresh before it.
        block_on(webhooks::deliver(&world.database(), &receiver, Which::Fresh, world.now.get())).expect("it is sent");
        assert!(!receiver.heard.borrow().is_empty(), "{frozen}");
        a_day_of_ticks(&world, &receiver);
        assert_eq!(dump(&world), before, "{frozen}");
        let mut outcome = [
            ("cancelled lost", 2),
            ("cancelled never_started", 3),
            ("cancelled stopping", 1),
            ("ended passed", 1),
            ("counted", 4_030_202),
            ("archived", 3),
            ("admin failed switched_off", 8),
            ("cancel_ci delivered", 1),
            ("check_runs delivered", 2),
            ("webhook delivered", 100),
            ("check runs", 2),
            ("uncounted", 0),
        ]
        .map(|(what, n)| (what.to_owned(), n));
        assert_eq!(STAYS.outcome(&world), outcome, "{frozen}");

        world.sql(THAWED);
        a_day_of_ticks(&world, &receiver);
        // It is too late for that.
        outcome[7].0 = "cancel_ci failed switched_off".to_owned();
        assert_eq!(MOVES.outcome(&world), outcome, "{frozen}");
    }
}

/// Freezes the bucket while its webhooks and GitHub are told, and gives what they heard.
fn told_while_it_freezes(world: &World, which: Which, frozen: &str) -> Vec<Post> {
    let at_that_moment = RefCell::new(Vec::new());
    let freeze = || {
        if at_that_moment.borrow().is_empty() {
            world.sql(frozen);
            *at_that_moment.borrow_mut() = dump(world);
        }
    };
    let receiver = Receiver { meanwhile: Some(&freeze), ..Receiver::default() };
    block_on(webhooks::deliver(&world.database(), &receiver, which, world.now.get()))
        .expect("what it heard is recorded");
    assert_eq!(dump(world), at_that_moment.take(), "{which:?} {frozen}");
    receiver.heard.take()
}

#[test]
fn what_was_on_its_way_when_a_bucket_froze_is_sent_again_after_it() {
    for which in [Which::Fresh, Which::Due] {
        for frozen in FROZEN {
            let world = world();
            MOVES.busy(&world);
            let first = told_while_it_freezes(&world, which, frozen);
            assert!(first.iter().any(|post| post.grant.is_some()) || which == Which::Fresh);
            assert!(first.iter().any(|post| post.grant.is_none()));
            world.sql(THAWED);
            world.pass(DELIVERY_LEASE + 1);
            let receiver = Receiver::default();
            a_day_of_ticks(&world, &receiver);
            let again = receiver.heard.borrow();
            for post in first {
                let id = post.headers.iter().find(|(name, _)| *name == "webhook-id");
                let is_it = |other: &&Post| other.body == post.body && id.is_none_or(|id| other.headers.contains(id));
                assert_eq!(again.iter().filter(is_it).count(), 1, "{which:?} {frozen}: {post:?}");
            }
        }
    }
}

#[test]
fn what_the_archive_has_read_stays_if_its_bucket_freezes_meanwhile() {
    for frozen in FROZEN {
        let world = world();
        MOVES.long_ago(&world);
        tick(&world, &Receiver::default());
        world.pass(31 * DAY);
        MOVES.busy(&world);
        let before = dump(&world);
        *world.runtime.during_put.borrow_mut() = Some(frozen);
        let archived =
            block_on(archive::step(&world.database(), world.now.get())).expect("a step").expect("it has chosen");
        assert_eq!((archived.project, archived.archived), (MOVES.id, 0), "{frozen}");
        assert_eq!(dump(&world), before, "{frozen}");
        world.sql(THAWED);
        let archived =
            block_on(archive::step(&world.database(), world.now.get())).expect("a step").expect("it has chosen");
        assert_eq!((archived.project, archived.archived), (MOVES.id, 3), "{frozen}");
    }
}

/// More closed runs of the bucket than a tick looks at stand before one of another.
#[test]
fn runs_that_wait_to_be_counted_do_not_wait_for_a_few_that_are_moved() {
    let world = world();
    let of = |project: Project, environment: i64, runs: i64| {
        world.sql(&format!(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since)
             SELECT {0}, {environment}, 'queued', '{0}:' || value, 1, 'ada', 1 FROM (WITH RECURSIVE n(value) AS
               (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {runs}) SELECT value FROM n);
             UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 1, cancel_cause = 'user', cancel_by = 'ada',
                             cancel_request_id = 'r', stop_outcome = 'never_started' WHERE project_id = {0}",
            project.id
        ));
    };
    of(MOVES, 9, 600);
    of(STAYS, 1, 500);
    world.sql(FROZEN[0]);
    let tallies = [(); 3].map(|()| tick(&world, &Receiver::default())).map(|tally| (tally.counted, tally.more));
    // It looks at the first thousand, and the bucket's 600 are among them.
    assert_eq!(tallies, [(400, true), (100, false), (0, false)]);
    assert_eq!(count(&world, "SELECT count(*) FROM closed_runs"), 600);
    world.sql(THAWED);
    let tallies = [(); 3].map(|()| tick(&world, &Receiver::default())).map(|tally| (tally.counted, tally.more));
    assert_eq!(tallies, [(500, true), (100, false), (0, false)]);
    assert_eq!(
        count(&world, "SELECT sum(by_user) FROM daily_runs WHERE environment_id = 0 GROUP BY environment_id"),
        1100
    );
}
