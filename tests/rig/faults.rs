//! The fault matrix: every writing route, every fault, with and without an Idempotency-Key. Whatever the database does,
//! an answer of success is stored, nobody is told of his own success that it was another's, and a refusal leaves the
//! whole change or nothing of it.

use std::time::Duration;

use crate::backend::Fault;
use crate::client::{Answer, Project};
use crate::workerd::{DEADLINE, HubFault, Rig, timed};
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
    /// The schema is a later version's already: 503 that says so, after so many round trips.
    Upgrading(u32),
    /// It is a bug of ours: 500, after so many round trips.
    Bug(u32),
}

/// Every fault, for how many batches it lasts, and its end. Four attempts are all that the Worker makes.
const FAULTS: [(Fault, u32, End); 20] = [
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
    // The second trip asks for the schema's version, which tells an upgrade from a bug.
    (Fault::ErrorBefore(MISSING), 1, End::Upgrading(2)),
    (Fault::ErrorBefore(REFUSED), 1, End::Bug(2)),
    (Fault::ErrorBefore(MISSING), 1, End::Bug(2)),
    (Fault::OddRowsAfter, 1, End::Bug(1)),
    (Fault::NoRowsAfter, 1, End::Bug(1)),
];

type Case = (Fault, u32, End);

/// What `send` gives while the fault lasts.
fn afflicted<T>(rig: &Rig, (fault, times, end): Case, send: impl FnOnce() -> T) -> T {
    let raise_version = |by: i32| {
        if matches!(end, End::Upgrading(_)) {
            rig.backend.sql(&format!("UPDATE schema_version SET version = version + {by}"));
        }
    };
    raise_version(1);
    rig.backend.inject(fault, times);
    let answer = send();
    rig.backend.heal();
    raise_version(-1);
    answer
}

fn matrix(write: Write) {
    let rig = Rig::start();
    let project = rig.project();
    for case in FAULTS {
        for with_key in [true, false] {
            if !with_key || write.takes_idempotency_key() {
                cell(&rig, &project, write, case, with_key);
            }
        }
    }
}

fn cell(rig: &Rig, project: &Project, write: Write, case: Case, with_key: bool) {
    let (fault, _, end) = case;
    let name = format!("{write:?}, {case:?}, Idempotency-Key: {with_key}");
    let attempt = write.prepare(rig, project, with_key);
    assert_eq!(attempt.made(), 0, "{name}");
    let ((answer, took), trips) = afflicted(rig, case, || (timed(|| attempt.send()), rig.backend.count().0));
    let committed = if fault.commits() { write.times() } else { 0 };
    match end {
        End::Truth(expected) => {
            assert_eq!((answer.status, trips), (write.status(), expected), "{name}: {answer:?}");
            assert_eq!(attempt.made(), write.times(), "{name}: it is stored");
            attempt.is_true(&answer);
        }
        End::Unavailable(expected, words) => {
            assert_eq!(trips, expected, "{name}: {answer:?}");
            unavailable(&name, &answer, words);
            assert_eq!(attempt.made(), committed, "{name}: all of it or nothing");
        }
        End::Upgrading(expected) => {
            assert_eq!(trips, expected, "{name}: {answer:?}");
            unavailable(&name, &answer, "being upgraded");
            assert_eq!(attempt.made(), 0, "{name}: nothing");
        }
        End::Bug(expected) => {
            assert_eq!(trips, expected, "{name}: {answer:?}");
            bug(rig, &name, &answer);
            assert_eq!(attempt.made(), committed, "{name}: all of it or nothing");
        }
    }
    assert!(took < DEADLINE + Duration::from_secs(1), "{name}: took {took:?}");
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
    // Without a key a second registration, API key, admission, webhook, secret or delivery is another one. Nothing else may
    // double.
    let doubles = matches!(
        write,
        Write::CreateKey
            | Write::AdmitPerson
            | Write::Register
            | Write::CreateWebhook
            | Write::RotateWebhook
            | Write::TestWebhook
            | Write::Redeliver
    ) && !with_key;
    assert_eq!(attempt.made(), if doubles { before + 1 } else { write.times() }, "{name}, again");
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
    ($($name:ident: $write:ident,)*) => {
        const WRITES: &[Write] = &[$(Write::$write),*];
        $(#[test] fn $name() { matrix(Write::$write); })*
    };
}
matrix! {
    register: Register,
    register_the_first_of_a_group: RegisterGroup,
    register_and_join: Join,
    claim: Claim,
    claim_another_shard: ClaimShard,
    heartbeat_that_renews: Renew,
    finish: Finish,
    finish_one_shard_of_two: FinishShard,
    finish_that_confirms_a_stop: Confirm,
    finish_that_comes_too_late: KeepLate,
    cancel: Cancel,
    bulk_cancel: BulkCancel,
    kill: Kill,
    create_project: CreateProject,
    create_environment: CreateEnvironment,
    set_concurrency: SetConcurrency,
    change_project: ChangeProject,
    change_environment: ChangeEnvironment,
    create_key: CreateKey,
    revoke_key: RevokeKey,
    admit_person: AdmitPerson,
    create_webhook: CreateWebhook,
    change_webhook: ChangeWebhook,
    rotate_a_webhooks_secret: RotateWebhook,
    delete_webhook: DeleteWebhook,
    test_webhook: TestWebhook,
    redeliver: Redeliver,
}

/// The hub's columns of the matrix: whatever is wrong with it, no write is delayed, fails or is half done, and a repeat, for
/// which the hub is told again, is answered as ever.
fn without_hub(fault: HubFault) {
    let rig = Rig::start_with_hub_fault(fault);
    let project = rig.project();
    for write in WRITES {
        for with_key in [true, false] {
            if with_key && !write.takes_idempotency_key() {
                continue;
            }
            let name = format!("{write:?}, hub {fault:?}, Idempotency-Key: {with_key}");
            let attempt = write.prepare(&rig, &project, with_key);
            let ((answer, took), trips) = (timed(|| attempt.send()), rig.backend.count().0);
            assert_eq!((answer.status, trips), (write.status(), 1), "{name}: {answer:?}");
            assert!(took < Duration::from_secs(1), "{name}: took {took:?}");
            assert_eq!(attempt.made(), write.times(), "{name}: it is stored");
            attempt.is_true(&answer);
            again(&name, *write, &attempt, with_key);
        }
    }
    // A tick, which tells of what it has swept, and so does every other.
    let (id, _) = project.started();
    rig.tick(rig.lapsed_at(id));
    assert_eq!(project.show(id)["stop"]["outcome"], "lost", "{fault:?}");
}

#[test]
fn no_hub() {
    without_hub(HubFault::Missing);
}

#[test]
fn a_hub_that_throws() {
    without_hub(HubFault::Throwing);
}

#[test]
fn a_hub_that_refuses() {
    without_hub(HubFault::Refusing);
}

#[test]
fn a_hub_that_says_nothing() {
    without_hub(HubFault::Silent);
}

#[test]
fn a_hub_that_is_slow() {
    without_hub(HubFault::Slow);
}

#[test]
fn a_read_survives_what_passes_and_says_503_to_what_does_not() {
    let rig = Rig::start();
    let project = rig.project();
    let id = project.queued();
    let of_run = ["", "/events", "/failures"].map(|what| format!("/api/test-runs/{id}{what}"));
    let lists = ["/api/test-runs", "/api/environments", "/api/export?after=99"].map(str::to_owned);
    let admin =
        ["/api/projects".to_owned(), format!("/api/projects/{}/environments", project.id), "/api/keys".to_owned()];
    for path in of_run.into_iter().chain(lists).chain(admin) {
        let is_admin = path.starts_with("/api/projects") || path.starts_with("/api/keys");
        for case in FAULTS {
            let send = || if is_admin { rig.server.admin("GET", &path, None) } else { project.get(&path) };
            let answer = afflicted(&rig, case, send);
            match case.2 {
                End::Truth(_) => assert_eq!(answer.status, 200, "{path}, {case:?}: {answer:?}"),
                End::Unavailable(_, words) => unavailable(&path, &answer, words),
                End::Upgrading(_) => unavailable(&path, &answer, "being upgraded"),
                End::Bug(_) => bug(&rig, &path, &answer),
            }
        }
    }
}

#[test]
fn a_tick_that_fails_leaves_its_work_to_the_next() {
    let rig = Rig::start();
    let project = rig.project();
    // Its first batch asks whether anything is due, the second sweeps.
    for (well, case) in (0..2).flat_map(|well| FAULTS.map(|case| (well, case))) {
        let (fault, times, end) = case;
        let (id, _) = project.started();
        let at = rig.lapsed_at(id);
        afflicted(&rig, case, || {
            rig.backend.inject_after(well, fault, times);
            rig.tick(at);
        });
        crate::history::folds(&rig.backend.db(), &format!("r.id = {id}"));
        let swept = matches!(end, End::Truth(_)) || (well == 1 && fault.commits());
        assert_eq!(project.show(id)["state"] == "cancelled", swept, "{fault:?} after {well}");
        rig.tick(at);
        assert_eq!(project.show(id)["stop"]["outcome"], "lost", "{fault:?} after {well}");
        crate::history::folds(&rig.backend.db(), &format!("r.id = {id}"));
    }
}
