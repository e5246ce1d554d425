//! The fault matrix: every writing route, every fault, with and without an Idempotency-Key. Whatever the database does,
//! an answer of success is stored, nobody is told of his own success that it was another's, and a refusal leaves the
//! whole change or nothing of it.

use crate::backend::Fault;
use crate::client::{Answer, Project};
use crate::workerd::{DEADLINE, Rig, timed};
use crate::writes::{Attempt, Write};

const LOST: &str = "Network connection lost.";
const OVERLOADED: &str = "D1 DB is overloaded. Requests queued for too long.";
const REFUSED: &str = "CHECK constraint failed: a rule: SQLITE_CONSTRAINT";
const MISSING: &str = "no such column: k.nonsense at offset 7: SQLITE_ERROR";
/// For as long as it is asked.
const ALWAYS: u32 = u32::MAX;

/// What comes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It passes: the Worker asks again and finds out the truth. So many round trips.
    Truth(u32),
    /// It does not: 503 that says so in these words, after so many round trips.
    Unavailable(u32, &'static str),
    /// It is a bug of ours: 500, after so many round trips.
    Bug(u32),
}

/// Every fault, for how many batches it lasts, and its end. Four attempts are all that the Worker makes.
const FAULTS: [(Fault, u32, End); 19] = [
    (Fault::ErrorBefore(LOST), 1, End::Truth(2)),
    (Fault::ErrorBefore(LOST), 3, End::Truth(4)),
    (Fault::ErrorBefore(LOST), ALWAYS, End::Unavailable(4, "connection to the database was lost")),
    (Fault::ErrorAfter(LOST), 1, End::Truth(2)),
    (Fault::ErrorAfter(LOST), 3, End::Truth(4)),
    (Fault::ErrorAfter(LOST), ALWAYS, End::Unavailable(4, "connection to the database was lost")),
    (Fault::ClosedAfter, 1, End::Truth(2)),
    (Fault::ClosedAfter, 3, End::Truth(4)),
    (Fault::ClosedAfter, ALWAYS, End::Unavailable(4, "connection to the database was lost")),
    (Fault::GarbledAfter, 1, End::Truth(2)),
    (Fault::GarbledAfter, ALWAYS, End::Unavailable(4, "connection to the database was lost")),
    (Fault::ErrorBefore(OVERLOADED), 1, End::Unavailable(1, "too busy")),
    (Fault::ErrorAfter(OVERLOADED), 1, End::Unavailable(1, "too busy")),
    (Fault::SilentBefore, 1, End::Unavailable(1, "did not answer in time")),
    (Fault::SilentAfter, 1, End::Unavailable(1, "did not answer in time")),
    // The second trip asks for the schema's version: it is ours, so this is no upgrade.
    (Fault::ErrorBefore(REFUSED), 1, End::Bug(2)),
    (Fault::ErrorBefore(MISSING), 1, End::Bug(2)),
    (Fault::OddRowsAfter, 1, End::Bug(1)),
    (Fault::NoRowsAfter, 1, End::Bug(1)),
];

fn matrix(write: Write) {
    let rig = Rig::start();
    let project = rig.project();
    for (fault, times, end) in FAULTS {
        for with_key in [true, false] {
            if !with_key || write.takes_idempotency_key() {
                cell(&rig, &project, write, (fault, times, end), with_key);
            }
        }
    }
}

fn cell(rig: &Rig, project: &Project, write: Write, (fault, times, end): (Fault, u32, End), with_key: bool) {
    let name = format!("{write:?}, {fault:?} x {times}, Idempotency-Key: {with_key}");
    let attempt = write.prepare(rig, project, with_key);
    assert_eq!(attempt.made(), 0, "{name}");
    rig.backend.inject(fault, times);
    let (answer, took) = timed(|| attempt.send());
    rig.backend.heal();
    let (trips, _) = rig.backend.count();
    match end {
        End::Truth(expected) => {
            assert_eq!((answer.status, trips), (write.status(), expected), "{name}: {answer:?}");
            assert_eq!(attempt.made(), 1, "{name}: it is stored");
            attempt.is_true(&answer);
        }
        End::Unavailable(expected, words) => {
            assert_eq!(trips, expected, "{name}: {answer:?}");
            unavailable(&name, &answer, words);
            assert_eq!(attempt.made(), i64::from(fault.commits()), "{name}: all of it or nothing");
        }
        End::Bug(expected) => {
            assert_eq!(trips, expected, "{name}: {answer:?}");
            bug(rig, &name, &answer);
            assert_eq!(attempt.made(), i64::from(fault.commits()), "{name}: all of it or nothing");
        }
    }
    assert!(took < DEADLINE + std::time::Duration::from_secs(1), "{name}: took {took:?}");
    again(&name, write, &attempt, with_key);
}

/// The client sends the same again, as the 503 says that it should.
fn again(name: &str, write: Write, attempt: &Attempt<'_>, with_key: bool) {
    let before = attempt.made();
    let answer = attempt.send();
    let expected = if before == 0 { write.status() } else { write.status_again(with_key) };
    assert_eq!(answer.status, expected, "{name}, again: {answer:?}");
    // A bulk cancel is answered with 200 too where the runs are over already.
    if write == Write::BulkCancel && before == 1 && !with_key {
        assert_eq!(
            answer.json()["data"]["already_over"].as_array().map(Vec::len),
            Some(2),
            "{name}, again: {answer:?}"
        );
    } else if answer.status == write.status() {
        attempt.is_true(&answer);
    }
    // Without a key a second registration, or a second API key, is another one. Nothing else may double.
    let doubles = write == Write::CreateKey || (write == Write::Register && !with_key);
    assert_eq!(attempt.made(), if doubles { before + 1 } else { 1 }, "{name}, again");
}

/// A 500 with the request's id and nothing internal; the log names the statement.
fn bug(rig: &Rig, name: &str, answer: &Answer) {
    answer.is_error(500);
    let id = answer.header("x-request-id").expect("an id");
    assert!(answer.message().contains(id), "{name}: {answer:?}");
    for internal in ["constraint", "column", "rule", "nonsense", "SQL", ".sql", "odd"] {
        assert!(!answer.text.contains(internal), "{name}: {answer:?}");
    }
    let line = crate::client::eventually("the log line", || {
        let log = rig.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.find(|line| line["request_id"] == id)
    });
    let detail = line["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(".sql") || detail.contains("list/statement.rs"), "{name}: {line}");
}

fn unavailable(name: &str, answer: &Answer, words: &str) {
    answer.is_error(503);
    assert!(answer.message().contains(words), "{name}: {answer:?}");
    let after: Option<u32> = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    assert!(after.is_some_and(|seconds| seconds > 0), "{name}: {answer:?}");
    assert!(!answer.text.contains(LOST) && !answer.text.contains("overloaded"), "{name}: the database's words");
}

macro_rules! matrix {
    ($($name:ident: $write:ident,)*) => { $(#[test] fn $name() { matrix(Write::$write); })* };
}
matrix! {
    register: Register,
    claim: Claim,
    heartbeat_that_renews: Renew,
    finish: Finish,
    finish_that_confirms_a_stop: Confirm,
    cancel: Cancel,
    bulk_cancel: BulkCancel,
    create_project: CreateProject,
    create_environment: CreateEnvironment,
    set_concurrency: SetConcurrency,
    create_key: CreateKey,
    revoke_key: RevokeKey,
}

#[test]
fn a_read_survives_what_passes_and_says_503_to_what_does_not() {
    let rig = Rig::start();
    let project = rig.project();
    let id = project.queued();
    let of_run = [format!("/api/test-runs/{id}"), format!("/api/test-runs/{id}/events")];
    let lists = ["/api/test-runs", "/api/environments"].map(str::to_owned);
    let admin =
        ["/api/projects".to_owned(), format!("/api/projects/{}/environments", project.id), "/api/keys".to_owned()];
    for path in of_run.into_iter().chain(lists).chain(admin) {
        let is_admin = path.starts_with("/api/projects") || path.starts_with("/api/keys");
        for (fault, times, end) in FAULTS {
            rig.backend.inject(fault, times);
            let answer = if is_admin { rig.server.admin("GET", &path, None) } else { project.get(&path) };
            rig.backend.heal();
            match end {
                End::Truth(_) => assert_eq!(answer.status, 200, "{path}, {fault:?}: {answer:?}"),
                End::Unavailable(_, words) => unavailable(&path, &answer, words),
                End::Bug(_) => bug(&rig, &path, &answer),
            }
        }
    }
}

#[test]
fn a_tick_that_fails_leaves_its_work_to_the_next() {
    let rig = Rig::start();
    let project = rig.project();
    for (fault, times, end) in FAULTS {
        let (id, _) = project.started();
        let at: i64 = rig.backend.value(&format!("SELECT lease_expires_at + 30000 FROM runs WHERE id = {id}"));
        rig.backend.inject(fault, times);
        rig.tick(at);
        rig.backend.heal();
        crate::history::folds(&rig.backend.db(), &format!("r.id = {id}"));
        let swept = matches!(end, End::Truth(_)) || fault.commits();
        assert_eq!(project.show(id)["state"] == "cancelled", swept, "{fault:?}");
        rig.tick(at);
        assert_eq!(project.show(id)["stop"]["outcome"], "lost", "{fault:?}");
        crate::history::folds(&rig.backend.db(), &format!("r.id = {id}"));
    }
}

/// The schema is that of a later version already: what the Worker names has gone.
#[test]
fn an_upgrade_under_way_is_503_and_the_same_request_works_when_it_is_over() {
    let rig = Rig::start();
    let project = rig.project();
    let attempt = Write::Cancel.prepare(&rig, &project, true);
    rig.backend.sql("UPDATE schema_version SET version = version + 1; ALTER TABLE keys RENAME COLUMN user TO owner");
    let answer = attempt.send();
    unavailable("an upgrade", &answer, "being upgraded");
    assert_eq!(attempt.made(), 0);
    rig.backend.sql("UPDATE schema_version SET version = version - 1; ALTER TABLE keys RENAME COLUMN owner TO user");
    assert_eq!(attempt.send().status, 200);
    assert_eq!(attempt.made(), 1);
}
