//! Every statement file: it prepares against the schema, walks the index that its comment names, guards itself, and costs
//! the same however much history there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use estop_protocol::keys::Scope;
use estop_protocol::limits::BULK_WALK;
use estop_protocol::run::State;
use rusqlite::StatementStatus;
use rusqlite::types::{Null, ToSql};

use crate::world::World;

/// Every statement file, by its name below `src/operations` or `src`.
fn files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let name = |path: &Path| {
        let name = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        name.strip_prefix("operations/").unwrap_or(&name).to_owned()
    };
    found.iter().map(|path| (name(path), fs::read_to_string(path).expect("a file"))).collect()
}

fn text(name: &str) -> String {
    files().remove(name).unwrap_or_else(|| panic!("no file {name}"))
}

/// The code beside a file.
fn room(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let path = [root.join("operations").join(name), root.join(name)].into_iter().find(|path| path.exists());
    let code = path.map(|path| path.with_file_name("mod.rs")).and_then(|path| fs::read_to_string(path).ok());
    code.unwrap_or_else(|| panic!("{name} has no mod.rs beside it"))
}

/// How SQLite goes about a statement, in its own words.
pub fn plan(world: &World, sql: &str) -> String {
    let db = world.runtime.db.borrow();
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("SQL");
    let params = rusqlite::params_from_iter(vec![Null; statement.parameter_count()]);
    let lines: Vec<String> =
        statement.query_map(params, |row| row.get(3)).expect("rows").collect::<Result<_, _>>().expect("lines");
    lines.join("\n")
}

/// The comment that a file begins with.
fn comment(text: &str) -> String {
    text.lines()
        .take_while(|line| line.starts_with("--"))
        .map(|line| line.trim_start_matches("--").to_owned() + "\n")
        .collect()
}

#[test]
fn every_file_is_named_by_the_code_that_sends_it() {
    for name in files().keys() {
        let expected = format!(r#"sql!("{name}")"#);
        assert!(room(name).contains(&expected), "{name}: no `{expected}` beside it");
    }
}

/// build.rs takes comments and indentation away line by line.
#[test]
fn no_text_goes_on_in_the_next_line() {
    for (name, text) in files() {
        for line in text.lines() {
            let code = line.split("--").next().unwrap_or_default();
            assert_eq!(code.matches('\'').count() % 2, 0, "{name}: {line}");
        }
    }
}

#[test]
fn every_file_can_be_pasted_into_a_console() {
    for (name, text) in files() {
        assert!(text.ends_with(";\n"), "{name}: D1 takes what follows a statement for another one, a comment too");
        let world = World::new();
        let db = world.runtime.db.borrow();
        // A console binds nothing, so every parameter is NULL; then nothing happens.
        let changes = || db.total_changes();
        let before = changes();
        let mut statement = db.prepare(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut rows = statement.raw_query();
        while rows.next().unwrap_or_else(|error| panic!("{name}: {error}")).is_some() {}
        drop(rows);
        drop(statement);
        assert_eq!(changes(), before, "{name} changed something");
    }
}

#[test]
fn every_comment_says_what_it_is_and_what_its_parameters_are() {
    let world = World::new();
    for (name, text) in files() {
        let comment = comment(&text);
        let db = world.runtime.db.borrow();
        let count = db.prepare(&text).expect("SQL").parameter_count();
        for n in 1..=count {
            assert!(comment.contains(&format!("?{n} ")), "{name} does not say what ?{n} is");
        }
        assert!(!comment.contains(&format!("?{} ", count + 1)), "{name} explains a ?{} that it has not", count + 1);
        assert!(comment.contains(" Plan: "), "{name} does not say which index it walks");
        assert_eq!(comment.contains(" Row"), text.contains(" AS row"), "{name} does not say what a row holds");
    }
}

/// Whether a line of a plan is this scan, and not one of something whose name begins like it.
fn is_scan(line: &str, what: &str) -> bool {
    let Some((_, rest)) = line.split_once(what) else { return false };
    !what.starts_with("SCAN ") || !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
}

#[test]
fn every_file_walks_the_indexes_that_its_comment_names_and_scans_no_table() {
    let world = World::new();
    for (name, text) in files() {
        let plan = plan(&world, &text);
        let comment = comment(&text);
        let named = comment.lines().find_map(|line| line.strip_prefix(" Plan: ")).expect("a plan");
        let named = named.split(" (it has").next().unwrap_or_default();
        for index in named.split(", ").filter(|index| *index != "(none)") {
            assert!(plan.contains(index), "{name} names {index}\n{plan}");
        }
        // No table is scanned, only what is none: a subquery with a limit, or JSON.
        for line in plan.lines().filter(|line| line.contains("SCAN") || line.contains("SEARCH")) {
            // What a subquery with a limit gave, under its alias.
            let bounded = [
                "SCAN CONSTANT ROW",
                "(subquery",
                "VIRTUAL TABLE",
                "SCAN due",
                "SCAN s",
                "SCAN w",
                "SCAN walked",
                "SCAN open",
                "SCAN schema_version",
                "SCAN this_database",
                "SCAN one",
                // What the schema says of its tables, and a row for each bucket at most.
                "SCAN m",
                "SCAN sqlite_schema",
                "SCAN b",
                // Numbers from 1 to a run's shards.
                "SCAN n",
                // A run and those of its concurrency group.
                "SCAN t",
                "SCAN l",
                // Runs that wait to be counted, at most so many, and what is made of them.
                "SCAN closed_runs",
                "SCAN closed",
                "SCAN c",
                "SCAN e",
                "SCAN g",
                // Deliveries that were taken from the outbox, or that ended: at most so many.
                "SCAN d",
                "SCAN f",
                "SCAN o",
                // How projects' ids were halved, until one is left.
                "SCAN half",
                // The one archive that covers an id.
                "SCAN a",
                // What is stopping, and no more.
                "SCAN r USING COVERING INDEX runs_stopping",
                "SCAN r USING INDEX runs_stopping",
            ];
            // SQLite plans to look for rows that refer to an inserted one, and does while a foreign key is violated: never.
            let inserts =
                ["register/register.sql", "admin/environments/create.sql", "admin/projects/create/create.sql"];
            let foreign_key = inserts.contains(&name.as_str()) && line.starts_with("SCAN runs");
            assert!(
                line.contains("SEARCH") || foreign_key || bounded.iter().any(|what| is_scan(line, what)),
                "{name}: {line}\n{plan}"
            );
        }
    }
}

/// Every statement of a keyed operation compares the caller's key, its scope and its validity in the same words, and every
/// one of a runner's the lease.
#[test]
fn every_statement_guards_itself() {
    let (mut keyed, mut leased) = (0, 0);
    for (name, text) in files() {
        let room = room(&name);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if room.contains("Access::Lease(") || name == "watch/line.sql" {
            leased += 1;
            assert!(
                flat.contains("WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3"),
                "{name} does not ask for the lease"
            );
            assert!(!flat.contains("keys"), "{name} asks for a key");
            continue;
        }
        if room.contains("Access::Session(") {
            assert!(
                flat.contains("k.hash = ?1") && flat.contains("ON k.valid_until > ?2"),
                "{name} asks for no valid key"
            );
            continue;
        }
        let scope = Scope::ALL.iter().find(|scope| room.contains(&format!("Access::Key(Scope::{scope:?}, ")));
        let Some(scope) = scope else {
            let other = room.contains("Access::Admin")
                || [
                    "archive/",
                    "sweeper/",
                    "database/",
                    "hub/",
                    "badge/",
                    "github/",
                    "access/",
                    "webhooks/",
                    "directory/",
                    "moving/",
                ]
                .iter()
                .any(|folder| name.starts_with(folder));
            assert!(other, "{name} belongs to no operation");
            continue;
        };
        keyed += 1;
        let may = format!("k.can_{} = 1 AND k.valid_until > ?2", scope.name());
        let asks = ["k.hash = ?1", "k.hash = iif(changes() = 1, ?1, NULL)"];
        assert!(asks.iter().any(|key| flat.contains(key)), "{name} asks for no key");
        assert!(flat.contains(&may), "{name} does not guard with `{may}`");
        let own = [
            "project_id = k.project_id",
            "p.id = k.project_id",
            "project_id = (SELECT k.project_id FROM keys k WHERE",
            "project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL)",
            "(runs.id, runs.project_id) = (SELECT ?3, k.project_id FROM keys k WHERE",
            "p.id = iif(k.can_run = 1 AND k.valid_until > ?2 AND r.id IS NULL, k.project_id, NULL)",
        ];
        if flat.contains(" runs") || flat.contains(" environments") {
            assert!(own.iter().any(|guard| flat.contains(guard)), "{name} looks into another project");
        }
        if !flat.contains("UPDATE runs") && !flat.contains("INSERT INTO") {
            let verdict = format!(
                "WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.valid_until <= ?2 THEN 'expired' \
                 WHEN k.can_{} = 0 THEN 'unscoped' ELSE 'valid' END",
                scope.name()
            );
            assert!(
                flat.contains(&verdict) && flat.contains("unknown"),
                "{name} does not say what is wrong with a key"
            );
        }
        for other in ["read", "cancel", "run"].iter().filter(|other| **other != scope.name()) {
            assert!(!flat.contains(&format!("k.can_{other}")), "{name} looks at another scope");
        }
    }
    assert!(keyed >= 15 && leased == 7, "{keyed}, {leased}");
}

/// What two files say alike, they say in the same words.
#[test]
fn a_filter_chooses_the_same_runs_wherever_it_stands() {
    let walked = |name: &str| {
        let text = text(name);
        let (_, rest) = text.split_once("WITH walked AS MATERIALIZED (").expect("the runs that it looks at");
        let (walked, _) = rest.split_once(&format!("LIMIT {BULK_WALK})")).expect("their end");
        walked.to_owned()
    };
    assert_eq!(walked("bulk_cancel/choose_matching.sql"), walked("bulk_cancel/preview_matching.sql"));
}

/// The steps of SQLite's virtual machine that a statement takes: what it costs, whatever the clock on the wall says.
fn steps(world: &World, name: &str, params: &[&dyn ToSql]) -> i32 {
    let db = world.runtime.db.borrow();
    let mut statement = db.prepare(&text(name)).expect("SQL");
    let mut rows = statement.query(params).unwrap_or_else(|error| panic!("{name}: {error}"));
    while rows.next().expect("a row").is_some() {}
    drop(rows);
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn what_a_statement_costs_does_not_grow_with_the_table() {
    let mut costs = Vec::new();
    for history in [200, 20_000] {
        let world = World::new();
        world.sql(&format!(
            "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
               SELECT 1, 1, 'queued', 'h' || value, value, 'ada', value FROM (WITH RECURSIVE n(value) AS \
               (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < {history}) SELECT value FROM n); \
             UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 1, cancel_cause = 'user', cancel_by = 'ada', cancel_request_id = 'r', \
               stop_outcome = 'never_started'"
        ));
        let run = world.run_in(State::Started);
        let key = estop::key::KeyHash::of(crate::world::KEY);
        let (key, now) = (key.as_str(), world.now.get().0);
        let later = now + 1_000_000;
        let other = world.run_in(State::Started);
        let queued = world.run_in(State::Queued);
        let finish: [&dyn ToSql; 13] =
            [&other.id, &1, &other.token, &now, &"own:2", &"h", &"ended", &"passed", &Null, &Null, &Null, &Null, &Null];
        let register: [&dyn ToSql; 17] = [
            &key, &now, &"own:4", &"h", &"staging", &"main", &Null, &Null, &"[]", &Null, &4, &0, &0, &Null, &"g",
            &Null, &1,
        ];
        let matching: [&dyn ToSql; 12] =
            [&key, &now, &"own:5", &"h", &Null, &"main", &"queued", &Null, &Null, &"", &0, &10];
        let new_key: [&dyn ToSql; 12] =
            [&1, &"u", &"n", &"f".repeat(64), &1, &1, &1, &Null, &now, &"key:1", &"h", &"salt"];
        // Whoever was let in by a domain before, however many.
        world.sql(&format!(
            "INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at, access) \
             VALUES (50, 1, '@x.example', 'n', printf('%064x', 50), 1, 1, 0, 1, '@x.example'); \
             INSERT INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at, access, granted_by) \
             SELECT 1, 'p' || value || '@x.example', 'n', printf('%064x', value), 1, 1, 0, 2, 'p' || value || '@x.example', 50 \
               FROM (WITH RECURSIVE n(value) AS (VALUES (1000) UNION ALL SELECT value + 1 FROM n WHERE value < 1000 + {history}) SELECT value FROM n)"
        ));
        let person: [&dyn ToSql; 10] = [&1, &"ada@x.example", &"e".repeat(64), &1, &1, &0, &Null, &now, &"key:2", &"h"];
        let most = 9_007_199_254_740_991_i64;
        let cancels: [&dyn ToSql; 10] = [&key, &now, &most, &0, &0, &"ada", &Null, &Null, &20, &100];
        let hook: [&dyn ToSql; 10] =
            [&1, &"https://x/", &r#"["run.started"]"#, &"staging", &Null, &"slack", &"o", &now, &"own:8", &"h"];
        let change: [&dyn ToSql; 10] = [&1, &Null, &Null, &Null, &1, &"production", &0, &Null, &Null, &now];
        // A webhook with a history of deliveries, and a few that are still to come.
        world.sql(&format!(
            "INSERT INTO webhooks (id, project_id, url, events, format, origin, created_at, request_id, request_hash) \
               VALUES (1, 1, 'https://x/', '[]', 'standard', 'o', 1, 'w', 'h'); \
             INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state) \
               SELECT 1, id, 4, 'run.cancelled', 'm', '{{}}', 1, 1, 'delivered' FROM runs WHERE id <= {history}; \
             INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, state, due_at, fresh) \
               SELECT 1, -id, 4, 'run.cancelled', 'm', '{{}}', 1, 1, 'due', 1, id % 2 FROM runs WHERE id <= 20"
        ));
        let done = r#"[{"id":1,"webhook_id":1,"attempt":0,"state":"delivered","status":200}]"#;
        let cost = |name: &str, params: &[&dyn ToSql]| (name.to_owned(), steps(&world, name, params));
        costs.push([
            cost("sweeper/due.sql", &[&now, &1, &1, &1, &1, &1]),
            cost("sweeper/expire.sql", &[&now, &500]),
            cost("sweeper/unclaimed.sql", &[&now, &1, &100, &"tick"]),
            cost("sweeper/lapsed.sql", &[&now, &1, &100, &"tick"]),
            cost("sweeper/incomplete.sql", &[&now, &1, &100, &"tick"]),
            cost("sweeper/over_age.sql", &[&now, &1, &100, &"tick"]),
            cost("sweeper/unconfirmed.sql", &[&later, &0, &100]),
            cost("heartbeat/renew.sql", &[&run.id, &1, &run.token, &now, &1, &1, &Null, &0, &Null, &Null]),
            cost("heartbeat/diagnose.sql", &[&run.id, &1, &run.token]),
            cost("bulk_cancel/preview_matching.sql", &matching),
            cost("bulk_cancel/choose_matching.sql", &matching),
            cost("bulk_cancel/cancel_chosen.sql", &[&key, &now, &"own:5", &"h", &"why"]),
            cost("bulk_cancel/report.sql", &[&key, &now, &"own:5", &"h", &Null]),
            cost("bulk_cancel/preview_given.sql", &[&key, &now, &format!("[{}]", run.id)]),
            cost("bulk_cancel/choose_given.sql", &[&key, &now, &"own:6", &"h", &format!("[{}]", run.id)]),
            cost("cancel/cancel.sql", &[&key, &now, &run.id, &"own:1", &"h", &"why"]),
            cost("cancel/diagnose.sql", &[&key, &now, &run.id, &"own:1", &"h"]),
            cost("kill/kill.sql", &[&key, &now, &run.id, &"own:7"]),
            cost("kill/diagnose.sql", &[&key, &now, &run.id, &"own:7"]),
            cost("finish/confirm_stop.sql", &[&run.id, &1, &run.token, &now, &"terminated", &Null, &Null, &Null]),
            cost("finish/keep_late.sql", &[&run.id, &1, &run.token, &now, &1, &"{}"]),
            cost("finish/finish.sql", &finish),
            cost("finish/diagnose.sql", &[&other.id, &1, &other.token, &"own:2", &"h"]),
            cost("claim/claim.sql", &[&key, &now, &queued.id, &"own:3", &"h", &1, &"token", &1, &Null, &Null, &1]),
            cost("claim/diagnose.sql", &[&key, &now, &queued.id, &"own:3", &"h", &1]),
            cost("register/register.sql", &register),
            cost("register/diagnose.sql", &[&key, &now, &"own:4", &"h", &"staging", &"main", &"g", &Null, &1]),
            cost("show/show.sql", &[&key, &now, &run.id]),
            cost("events/events.sql", &[&key, &now, &run.id]),
            cost("failures/failures.sql", &[&key, &now, &run.id]),
            cost("environments/environments.sql", &[&key, &now, &9, &100]),
            cost("cancels/cancels.sql", &cancels),
            cost("analytics/analytics.sql", &[&key, &now, &Null, &0]),
            cost("sweeper/count.sql", &[&now, &100]),
            cost("sweeper/counted.sql", &[&100]),
            cost("sweeper/left.sql", &[]),
            cost("session/session.sql", &[&key, &now, &Null, &10]),
            cost("admin/projects/under_earlier_limit.sql", &[&1]),
            cost("badge/badge.sql", &[&"one", &"staging", &Null]),
            cost("badge/badge.sql", &[&"one", &"staging", &"main"]),
            cost("admin/events/list.sql", &[&most, &20]),
            cost("admin/projects/change.sql", &[&1, &"New", &"acme/shop", &1, &1, &30, &now, &Null]),
            cost("admin/projects/turn_on.sql", &[&1, &1, &1, &"o", &now]),
            cost("admin/projects/turn_off.sql", &[&1, &0, &0, &now]),
            cost("admin/projects/show.sql", &[&1]),
            cost("webhooks/remember.sql", &[&r#"[{"run":1,"id":2,"repo":"acme/shop"}]"#]),
            cost("github/choose.sql", &[&"d-1", &now, &"acme/shop", &"main", &"github:ada"]),
            cost("github/cancel_chosen.sql", &[&"d-1", &now, &"why"]),
            cost("github/report.sql", &[&"d-1"]),
            cost("database/note_use.sql", &[&key, &now, &1]),
            cost("admin/environments/change.sql", &[&1, &"New", &1, &now]),
            cost("admin/environments/show.sql", &[&1]),
            cost("admin/projects/create/enter.sql", &[&"new", &"00", &"own:20"]),
            cost("admin/projects/create/create.sql", &[&"new", &"N", &Null, &"own:20", &"h", &now, &Null, &Null]),
            cost("admin/projects/create/diagnose.sql", &[&"new", &"own:20", &"h"]),
            cost("directory/bucket.sql", &[&1, &Null]),
            cost("directory/bucket.sql", &[&Null, &"one"]),
            cost("directory/whose.sql", &[&1, &"deliveries"]),
            cost("admin/keys/create.sql", &new_key),
            cost("access/grant.sql", &[&"eve@x.example", &now, &"@x.example", &Null, &"d".repeat(64)]),
            cost("access/admitted.sql", &[&"eve@x.example", &now, &Null]),
            cost("admin/people/replace.sql", &[&1, &"p1000@x.example", &now, &"c".repeat(64), &"key:3"]),
            cost("admin/people/create.sql", &person),
            cost("webhooks/take_fresh.sql", &[&later, &6, &now]),
            cost("webhooks/take_due.sql", &[&now, &later, &6]),
            cost("webhooks/record.sql", &[&done, &now]),
            cost("webhooks/prune.sql", &[&"[1]"]),
            cost("webhooks/end_switched_off.sql", &[&1, &now]),
            cost("webhooks/forget.sql", &[&1]),
            cost("admin/webhooks/create.sql", &hook),
            cost("admin/webhooks/diagnose_create.sql", &[&1, &"staging", &"own:8", &"h"]),
            cost("admin/webhooks/change.sql", &change),
            cost("admin/webhooks/deliveries.sql", &[&1]),
            cost("admin/webhooks/test.sql", &[&1, &now, &"own:9", &"h"]),
            cost("admin/webhooks/redeliver.sql", &[&1, &now, &"own:10", &"h"]),
            cost("export/export.sql", &[&key, &now, &0, &20, &1, &1_000_000]),
            cost("archive/choose.sql", &[&(now + 200 * 86_400_000), &100, &500_000, &0]),
            cost("archive/head.sql", &[&1, &1, &100]),
            cost("archive/lines.sql", &[&1, &1, &100, &0]),
            {
                // They are counted by then.
                world.sql("DELETE FROM closed_runs");
                cost("archive/record.sql", &[&1, &1, &100, &100, &200, &0, &200, &now, &Null, &Null, &Null, &Null])
            },
            cost("archive/delete.sql", &[&1, &1, &100]),
            cost("archive/deleted.sql", &[]),
            cost("archive/deliveries.sql", &[&1, &1, &100]),
            cost("admin/keys/diagnose_create.sql", &[&"f".repeat(64), &"key:1", &"h"]),
        ]);
    }
    assert_eq!(costs[0], costs[1]);
}
