//! Races: everything that can end or take a run, fired at it at once over HTTP, while the database answers in any
//! order and now and then loses an answer. `ESTOP_SOAK_RUNS` sets how many runs, `ESTOP_SOAK_SEED` the seed.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::Fault;
use crate::client::{Answer, Project};
use crate::history;
use crate::random::{Random, setting};
use crate::workerd::Rig;

/// One thing that somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    Cancel,
    /// With the lease, or with somebody else's.
    Finish {
        own: bool,
    },
    Claim,
    Heartbeat,
    /// The sweeper, as if it were so many milliseconds after the run was registered.
    Tick {
        after: i64,
    },
}

impl Try {
    fn any(random: &mut Random) -> Self {
        const HOUR: i64 = 3_600_000;
        match random.below(10) {
            0..=2 => Try::Cancel,
            3 | 4 => Try::Finish { own: true },
            5 => Try::Finish { own: false },
            6 => Try::Claim,
            7 | 8 => Try::Heartbeat,
            // Long before any clock has run out, when the lease has lapsed, and when it is over-age too.
            _ => Try::Tick { after: [0, HOUR, 7 * HOUR][usize::try_from(random.below(3)).expect("small")] },
        }
    }
}

#[test]
fn a_run_that_everybody_pulls_at_ends_once_and_each_is_told_the_truth() {
    let (runs, seed) = (setting("ESTOP_SOAK_RUNS", 300), setting("ESTOP_SOAK_SEED", 4));
    let rig = Rig::start();
    let project = rig.project();
    rig.backend.dawdle(Duration::from_millis(3));
    let mut random = Random(seed);
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for round in 0..runs {
        let claimed = random.below(3) > 0;
        let (id, lease) = if claimed { project.started() } else { (project.queued(), "nobody's".to_owned()) };
        let tries: Vec<Try> = (0..3 + random.below(6)).map(|_| Try::any(&mut random)).collect();
        if random.below(3) == 0 {
            rig.backend
                .inject([Fault::ErrorAfter("Network connection lost."), Fault::ClosedAfter][(round % 2) as usize], 2);
        }
        let answers = race(&rig, &project, id, &lease, &tries);
        rig.backend.heal();
        let end = check(&rig, (id, claimed), &tries, &answers);
        *ends.entry(end).or_default() += 1;
    }
    assert_eq!(history::folds(&rig.backend.db(), "true"), usize::try_from(runs).expect("few"));
    assert_eq!(history::contradictions(&rig.backend.db()), [""; 0]);
    println!("soak: {runs} runs from seed {seed}, over as {ends:?}");
    // Otherwise nothing was raced for.
    assert!(runs < 100 || ends.len() >= 5, "{ends:?}");
}

/// Fires all at once; one answer each, but for ticks.
fn race(rig: &Rig, project: &Project, id: i64, lease: &str, tries: &[Try]) -> Vec<Option<Answer>> {
    let born: i64 = rig.backend.value(&format!("SELECT created_at FROM runs WHERE id = {id}"));
    let start = Barrier::new(tries.len());
    let post = |verb: &str, body: Value| Some(project.post(&format!("/api/test-runs/{id}/{verb}"), &body));
    std::thread::scope(|scope| {
        let threads: Vec<_> = tries
            .iter()
            .enumerate()
            .map(|(n, one)| {
                let (start, post) = (&start, &post);
                scope.spawn(move || {
                    start.wait();
                    match one {
                        Try::Cancel => post("cancel", json!({"reason": format!("try {n}")})),
                        Try::Finish { own } => {
                            let lease = if *own { lease } else { "somebody else's" };
                            let total = json!({"total": n, "success": n, "failed": 0, "skipped": 0, "flaky": 0});
                            let body = json!({"lease": lease, "state": "ended", "result": "passed", "counts": total});
                            post("finish", body)
                        }
                        Try::Claim => post("claim", json!({"runner": format!("try {n}")})),
                        Try::Heartbeat => post("heartbeat", json!({"lease": lease})),
                        Try::Tick { after } => {
                            rig.tick(born + after);
                            None
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

/// The record against what everybody was told. Says how the run ended.
fn check(rig: &Rig, (id, claimed): (i64, bool), tries: &[Try], answers: &[Option<Answer>]) -> String {
    let shown = format!("run {id}: {tries:?} {answers:#?}");
    let read = |column: &str| {
        let text: Option<String> = rig.backend.value(&format!(
            "SELECT CAST({column} AS TEXT) FROM runs r LEFT JOIN run_shards s ON s.run_id = r.id WHERE r.id = {id}"
        ));
        text.unwrap_or_default()
    };
    let (state, cause) = (read("r.state"), read("cancel_cause"));
    let mut enders = 0;
    let mut holders = 0;
    for (n, (one, answer)) in tries.iter().zip(answers).enumerate() {
        let Some(answer) = answer else { continue };
        match (one, answer.status) {
            (Try::Cancel, 200) => {
                enders += 1;
                assert_eq!((state.as_str(), cause.as_str()), ("cancelled", "user"), "{shown}");
                assert_eq!(read("cancel_reason"), format!("try {n}"), "{shown}");
            }
            (Try::Finish { own: true }, 200) => {
                enders += 1;
                assert_eq!(state, "ended", "{shown}");
                let counts: Value = serde_json::from_str(&read("r.counts")).expect("JSON");
                assert_eq!(counts["total"], n, "{shown}");
            }
            (Try::Claim, 200) => {
                holders += 1;
                assert_eq!(answer.json()["data"]["lease"]["token"], read("lease_token"), "{shown}");
                assert_eq!(read("runner"), format!("try {n}"), "{shown}");
            }
            (Try::Heartbeat, 200) => {
                let told = answer.json();
                let (told, stop) = (told["data"]["state"].clone(), told["data"]["stop"].clone());
                // It may have come before the end. What it was told of an end is final.
                assert_eq!(told == "cancelled", !stop.is_null(), "{shown}");
                assert!(told == "started" || (told == state.as_str() && stop["cause"] == cause.as_str()), "{shown}");
            }
            (Try::Finish { own: false }, 409) => {}
            (Try::Finish { .. } | Try::Heartbeat, 409)
            | (Try::Cancel | Try::Claim | Try::Finish { own: true }, 412) => {}
            other => panic!("{other:?} in {shown}"),
        }
    }
    let over = matches!(state.as_str(), "ended" | "error" | "cancelled");
    let swept = cause == "stale";
    assert_eq!(enders, i32::from(over && !swept), "exactly one was told that he ended it, or the sweeper did: {shown}");
    assert!(holders <= i32::from(!claimed), "one runner at most: {shown}");
    if tries.contains(&Try::Cancel) {
        assert!(over, "{shown}");
    }
    assert_eq!(history::folds(&rig.backend.db(), &format!("r.id = {id}")), 1);
    if swept { format!("swept, {}", read("r.stop_outcome")) } else { format!("{state} {}", read("r.stop_outcome")) }
}
