//! One hub with a thousand sockets: nothing is lost or out of order for a run, and nobody waits. It prints how long.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Project;
use crate::line::{Heard, Line};
use crate::workerd::{Rig, timed};

const LINES: usize = 980;
const WATCHERS: usize = 20;
const CHANGES: usize = 500;
/// A hundred changes a second.
const PACE: Duration = Duration::from_millis(10);

/// When each run was asked for, by its branch.
type Asked = Mutex<BTreeMap<String, Instant>>;

#[test]
#[ignore = "a measurement, which needs the machine for itself: make soak"]
fn twenty_watchers_among_a_thousand_sockets_hear_a_hundred_changes_a_second() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let lines: Vec<Line> = (0..LINES).map(|_| Line::of_shard(&rig.server, id, &token)).collect();
    let asked = Asked::default();
    let mut spans: Vec<Duration> = thread::scope(|scope| {
        let watchers: Vec<_> = (0..WATCHERS)
            .map(|_| {
                let (mut line, asked) = (Line::of_project(&project), &asked);
                scope.spawn(move || (0..CHANGES).map(|_| heard(&mut line, asked)).collect::<BTreeMap<_, _>>())
            })
            .collect();
        change(&project, &asked);
        let heard = watchers.into_iter().map(|watcher| watcher.join().expect("a watcher"));
        heard.flat_map(BTreeMap::into_values).collect()
    });
    spans.sort_unstable();
    let at = |percent: usize| spans[(spans.len() - 1) * percent / 100];
    println!(
        "{CHANGES} changes, {WATCHERS} watchers, {LINES} more sockets: heard after p50 {:?}, p99 {:?}",
        at(50),
        at(99)
    );
    assert_eq!(spans.len(), CHANGES * WATCHERS, "each heard each of them");
    assert!(at(99) < Duration::from_secs(5), "{:?}", at(99));
    project.cancel(id).ok();
    let (_, took) = timed(|| lines.into_iter().for_each(|mut line| assert_eq!(line.message("stop")["test_run"], id)));
    println!("{LINES} sockets have heard one cancel within {took:?}");
}

/// Registers runs at the pace, each on a branch of its own.
fn change(project: &Project, asked: &Asked) {
    thread::scope(|scope| {
        let begun = now();
        for n in 0..CHANGES {
            let due = PACE * u32::try_from(n).expect("few");
            thread::sleep(due.saturating_sub(begun.elapsed()));
            scope.spawn(move || {
                let branch = format!("change-{n}");
                asked.lock().expect("a lock").insert(branch.clone(), now());
                let body = json!({"environment": "staging", "branch": branch});
                project.call("PUT", "/api/test-runs", Some(&body)).ok();
            });
        }
    });
}

/// The branch of the next run that is heard of, and how long after it was asked for.
fn heard(line: &mut Line, asked: &Asked) -> (String, Duration) {
    match line.next() {
        Heard::Json(message) => {
            let branch = message["run"]["test_run_branch"].as_str().expect("a branch").to_owned();
            assert_eq!(message["run"]["version"], 1, "{message}");
            let took = asked.lock().expect("a lock")[&branch].elapsed();
            (branch, took)
        }
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's stopwatch; the service gets its clock as an argument")]
fn now() -> Instant {
    Instant::now()
}
