//! Finish and cancel at the same time: whichever wins, exit code, messages and record agree.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::Project;
use crate::support::run;

#[test]
fn finish_and_cancel_race_a_hundred_times_and_exit_code_and_record_agree() {
    let project = Project::new();
    let (next, cancelled) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= 100 {
                        return;
                    }
                    cancelled.fetch_add(u32::from(one_race(&project, round)), Ordering::Relaxed);
                }
            });
        }
    });
    println!("the cancel won {} of 100 races", cancelled.into_inner());
}

/// Returns whether the cancel won.
fn one_race(project: &Project, round: u32) -> bool {
    let mut running = run(project, &["--grace", "1"], "echo ready; read line; exit 0");
    running.says("ready");
    let id = running.id();
    running.type_in("go\n");
    // Not to wait for anything, but to hit the finish earlier in one round and later in another.
    thread::sleep(Duration::from_millis(u64::from(round % 12)));
    let answer = project.cancel(id);
    let ended = running.end();
    let shown = project.show(id);
    let reported = ended.stderr.contains(&format!("cancelled test run {id}"));
    match answer.status {
        200 => {
            assert_eq!((ended.code, reported), (Some(120), true), "{ended:?} {shown}");
            assert!(shown["state"] == "cancelled" && shown["stop"]["outcome"] == "graceful", "{ended:?} {shown}");
        }
        412 => {
            assert_eq!((ended.code, reported), (Some(0), false), "{ended:?} {shown}");
            assert!(shown["state"] == "ended" && shown["result"] == "passed", "{ended:?} {shown}");
        }
        _ => panic!("{answer:?}"),
    }
    answer.status == 200
}
