//! Real races over real HTTP: one winner each time, and the record agrees with the answers.

use std::sync::Barrier;
use std::thread;

use crate::client::Project;

#[test]
fn of_twenty_cancels_at_once_one_gets_200_and_nineteen_412() {
    let project = Project::new();
    let (id, _) = project.started();
    let barrier = Barrier::new(20);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let racers: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    project.cancel(id).status
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 412).count(), 19, "{statuses:?}");
    assert_eq!(project.history(id), ["queued", "started", "cancelled"]);
}

#[test]
fn of_cancel_and_finish_exactly_one_wins_two_hundred_times() {
    let project = Project::new();
    for _ in 0..200 {
        let (id, token) = project.started();
        let barrier = Barrier::new(2);
        let (cancel, finish) = thread::scope(|scope| {
            let cancel = scope.spawn(|| {
                barrier.wait();
                project.cancel(id)
            });
            let finish = scope.spawn(|| {
                barrier.wait();
                project.finish(id, &token)
            });
            (cancel.join().expect("a racer"), finish.join().expect("a racer"))
        });
        let run = project.show(id);
        let history = project.history(id);
        match (cancel.status, finish.status) {
            (200, 412) => {
                assert_eq!(
                    (run["state"].as_str(), run["stop"]["outcome"].as_str()),
                    (Some("cancelled"), Some("graceful")),
                    "{run}"
                );
                assert_eq!(history, ["queued", "started", "cancelled"]);
                assert!(finish.message().contains("ada@example.com cancelled it"), "{finish:?}");
            }
            (412, 200) => {
                assert_eq!((run["state"].as_str(), run["cancel"].is_null()), (Some("ended"), true), "{run}");
                assert_eq!(history, ["queued", "started", "ended"]);
                assert!(cancel.message().contains("it ended (passed)"), "{cancel:?}");
            }
            other => panic!("two winners or none: {other:?} {run}"),
        }
    }
}

#[test]
fn of_ten_runners_one_gets_the_run() {
    let project = Project::new();
    let id = project.queued();
    let barrier = Barrier::new(10);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let racers: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    project.call("POST", &format!("/api/test-runs/{id}/claim"), None).status
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 412).count(), 9, "{statuses:?}");
}
