//! The fault matrix: every writing route, every fault, with and without an Idempotency-Key. Whatever the database does,
//! an answer of success is stored, nobody is told of his own success that it was another's, and a refusal leaves the
//! whole change or nothing of it.

use crate::backend::Fault;
use crate::client::{Answer, Project};
use crate::workerd::{DEADLINE, Rig, timed};
use crate::writes::{Attempt, Write};

const LOST: &str = "Network connection lost.";
const OVERLOADED: &str = "D1 DB is overloaded. Requests queued for too long.";
/// For as long as it is asked.
const ALWAYS: u32 = u32::MAX;

/// What comes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It passes: the Worker asks again and finds out the truth. So many round trips.
    Truth(u32),
    /// It does not: 503, after so many round trips.
    Unavailable(u32),
}

/// Every fault, for how many batches it lasts, and its end. Four attempts are all that the Worker makes.
const FAULTS: [(Fault, u32, End); 15] = [
    (Fault::ErrorBefore(LOST), 1, End::Truth(2)),
    (Fault::ErrorBefore(LOST), 3, End::Truth(4)),
    (Fault::ErrorBefore(LOST), ALWAYS, End::Unavailable(4)),
    (Fault::ErrorAfter(LOST), 1, End::Truth(2)),
    (Fault::ErrorAfter(LOST), 3, End::Truth(4)),
    (Fault::ErrorAfter(LOST), ALWAYS, End::Unavailable(4)),
    (Fault::ClosedAfter, 1, End::Truth(2)),
    (Fault::ClosedAfter, 3, End::Truth(4)),
    (Fault::ClosedAfter, ALWAYS, End::Unavailable(4)),
    (Fault::GarbledAfter, 1, End::Truth(2)),
    (Fault::GarbledAfter, ALWAYS, End::Unavailable(4)),
    (Fault::ErrorBefore(OVERLOADED), 1, End::Unavailable(1)),
    (Fault::ErrorAfter(OVERLOADED), 1, End::Unavailable(1)),
    (Fault::SilentBefore, 1, End::Unavailable(1)),
    (Fault::SilentAfter, 1, End::Unavailable(1)),
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
        End::Unavailable(expected) => {
            assert_eq!(trips, expected, "{name}: {answer:?}");
            unavailable(&name, &answer);
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

fn unavailable(name: &str, answer: &Answer) {
    answer.is_error(503);
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
    for path in ["/api/test-runs".to_owned(), format!("/api/test-runs/{id}"), format!("/api/test-runs/{id}/events")] {
        for (fault, times, end) in FAULTS {
            rig.backend.inject(fault, times);
            let answer = project.get(&path);
            rig.backend.heal();
            match end {
                End::Truth(_) => assert_eq!(answer.status, 200, "{path}, {fault:?}: {answer:?}"),
                End::Unavailable(_) => unavailable(&path, &answer),
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
