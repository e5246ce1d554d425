//! What is in the database, and what is asked about it. Plain SQL, because it goes to two kinds of database.

use std::ops::Range;

use estop::buckets::Bucket;
use estop::key::PlainKey;

/// The project with the history: what is listed, shown and kept alive.
pub const OLD: u8 = 1;
/// The project whose runs are cancelled by the thousand, so that the other one's list stays as long as it is.
pub const NEW: u8 = 2;
/// Runs of any history that are over, one cancelled and one ended.
pub const CANCELLED: i64 = 7;
pub const ENDED: i64 = 8;
/// The lease token of every shard: each is the only one of its run.
const LEASE: &str = "00.1.a-token-as-long-as-one";
/// When everything in the fixture happened, in ms: before any clock here.
pub const THEN: i64 = 1_750_000_000_000;
/// When a lease ends that lasts for ever.
pub const NEVER: i64 = 9_000_000_000_000;

/// A request that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Cancel,
    CancelOver,
    Heartbeat,
    List,
    Show,
}

pub const OPS: [Op; 5] = [Op::Cancel, Op::CancelOver, Op::Heartbeat, Op::List, Op::Show];

impl Op {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel (200)",
            Self::CancelOver => "cancel (412)",
            Self::Heartbeat => "heartbeat",
            Self::List => "list of 20",
            Self::Show => "show",
        }
    }

    /// The status that every peer must answer.
    pub fn status(self) -> u16 {
        if self == Self::CancelOver { 412 } else { 200 }
    }

    /// The request about this run of this project, byte by byte.
    pub fn request(self, project: u8, id: i64) -> Vec<u8> {
        let (method, path, body) = match self {
            Self::Cancel | Self::CancelOver => {
                ("POST", format!("/api/test-runs/{id}/cancel"), r#"{"reason":"wrong branch"}"#.to_owned())
            }
            Self::Heartbeat => ("POST", format!("/api/test-runs/{id}/heartbeat"), format!(r#"{{"lease":"{LEASE}"}}"#)),
            Self::List => ("GET", "/api/test-runs".to_owned(), String::new()),
            Self::Show => ("GET", format!("/api/test-runs/{id}"), String::new()),
        };
        let content = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        };
        // A runner beats without its key: the lease is the credential.
        let authorization = match self {
            Self::Heartbeat => String::new(),
            _ => format!("Authorization: Bearer {}\r\n", key(project).reveal()),
        };
        format!("{method} {path} HTTP/1.1\r\nHost: estop\r\n{authorization}{content}\r\n{body}").into_bytes()
    }
}

/// The two projects, with an environment and a key each.
pub fn projects() -> String {
    [OLD, NEW].map(project).concat()
}

/// The one key of a project.
pub fn key(project: u8) -> PlainKey {
    PlainKey::from_random(Bucket::FIRST, [project; 32])
}

fn project(id: u8) -> String {
    format!(
        "INSERT INTO projects (id, slug, name, request_id, created_at) VALUES ({id}, 'shop-{id}', 'Shop', 'p', {THEN});
         INSERT INTO environments (id, project_id, slug, name, request_id, created_at)
             VALUES ({id}, {id}, 'staging', 'Staging', 'e', {THEN});
         INSERT INTO keys (id, project_id, user, name, hash, can_read, can_cancel, can_run, created_at)
             VALUES ({id}, {id}, 'ada@example.com', 'bench', '{}', 1, 1, 1, {THEN});",
        key(id).hash().as_str()
    )
}

/// Runs that are over, as years of use leave them: most ended, some cancelled. Past the triggers, which would take a
/// minute for a million: between [`unguard`] and [`guard`].
pub fn history(ids: &Range<i64>) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
         INSERT INTO runs (id, project_id, environment_id, version, state, result, request_id, created_at, created_by, waiting_since, branch,
             build, tags, finished_shards, started_at, started_by, ended_at, ended_by, counts, cancelled_at, cancel_reason, cancel_cause,
             cancel_by, cancel_request_id, stop_outcome, stop_closed_at)
         SELECT i, 1, 1, iif(i % 7, 3, 4), iif(i % 7, 'ended', 'cancelled'), iif(i % 7, iif(i % 5, 'passed', 'failed'), NULL), 'r' || i, {THEN} + i,
             'ada@example.com', {THEN} + i, 'branch-' || (i % 50), json_object('branch', 'branch-' || (i % 50), 'commit', printf('%040x', i)),
             '[\"e2e\"]', i % 7 > 0, {THEN} + i, 'ada@example.com', iif(i % 7, {THEN} + i, NULL), iif(i % 7, 'ada@example.com', NULL),
             iif(i % 7, '{{\"total\":9,\"success\":9,\"failed\":0,\"skipped\":0,\"flaky\":0}}', NULL),
             iif(i % 7, NULL, {THEN} + i), iif(i % 7, NULL, 'wrong branch'), iif(i % 7, NULL, 'user'), iif(i % 7, NULL, 'ada@example.com'),
             iif(i % 7, NULL, 'x' || i), iif(i % 7, NULL, 'graceful'), iif(i % 7, NULL, {THEN} + i)
         FROM n;
         INSERT INTO run_shards (run_id, shard, state, result, counts, runner, lease_token, lease_renewed_at, lease_expires_at, started_at,
             started_by, claim_request_id, ended_at, finish_request_id, stop_outcome, stop_closed_at)
         SELECT id, 1, state, result, counts, 'ci-7', '{LEASE}', started_at, {NEVER}, started_at, started_by, 'c' || id, ended_at,
             iif(ended_at IS NULL, NULL, 'f' || id), stop_outcome, stop_closed_at
         FROM runs WHERE id BETWEEN {first} AND {last};
         INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by)
         SELECT id, s.step, created_at, s.before, CASE s.step WHEN 2 THEN 'queued' WHEN 3 THEN 'started' ELSE state END, 'history', created_by
         FROM runs JOIN (SELECT 2 AS step, NULL AS before UNION ALL SELECT 3, 'queued' UNION ALL SELECT 4, 'started') s
         WHERE id BETWEEN {first} AND {last};",
        first = ids.start,
        last = ids.end - 1,
    )
}

/// The triggers that [`history`] goes past.
const GUARDS: [&str; 4] = ["runs_registered", "runs_supersede", "run_shards_claimed", "run_events_are_true"];

/// Drops them.
pub fn unguard() -> String {
    GUARDS.map(|name| format!("DROP TRIGGER {name};")).concat()
}

/// Creates them again.
pub fn guard() -> String {
    let schema = include_str!("../schema.sql");
    let trigger = |name: &str| {
        let (_, rest) = schema.split_once(&format!("CREATE TRIGGER {name} ")).expect("a trigger");
        let (body, _) = rest.split_once("\nEND;").expect("its end");
        format!("CREATE TRIGGER {name} {body}\nEND;\n")
    };
    GUARDS.map(trigger).concat()
}

/// The runners of cancelled runs confirm that they have stopped: until then each tick looks at them.
pub const CONFIRM_STOPS: &str = "UPDATE run_shards
    SET state = 'cancelled', stop_outcome = 'graceful', stop_closed_at = (SELECT cancelled_at FROM runs WHERE id = run_id)
    WHERE state = 'started' AND run_id IN (SELECT id FROM runs WHERE stop_outcome = 'stopping');";

/// Runs of a project that a runner holds until `lease_expires_at`, by the way that real ones take.
pub fn started(project: u8, ids: &Range<i64>, lease_expires_at: i64) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
         INSERT INTO runs (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since, branch)
         SELECT i, {project}, {project}, 'queued', 'r' || i, {THEN}, 'ada@example.com', {THEN}, 'main' FROM n;
         INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by,
             claim_request_id, runner)
         SELECT id, 1, 'started', '{LEASE}', {THEN}, {lease_expires_at}, {THEN}, 'ada@example.com', 'c' || id, 'ci-7'
         FROM runs WHERE id BETWEEN {first} AND {last};",
        first = ids.start,
        last = ids.end - 1,
    )
}
