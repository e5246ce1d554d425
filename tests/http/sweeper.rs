//! The sweeper through its HTTP hook, on the server with short timeouts: leases of 2 s, 2 s to be claimed, 5 s to run.

use serde_json::json;

use crate::client::{Project, Server, eventually};

fn project() -> Project {
    Project::on(Server::short())
}

/// Ticks until the run's `field` is `value`.
fn swept(project: &Project, id: i64, field: &str, value: &str) -> serde_json::Value {
    eventually(&format!("{field} {value} of run {id}"), || {
        project.server.tick();
        let run = project.show(id);
        (run.pointer(field) == Some(&json!(value))).then_some(run)
    })
}

#[test]
fn a_run_that_nobody_claims_is_cancelled() {
    let project = project();
    let id = project.queued();
    let run = swept(&project, id, "/state", "cancelled");
    assert_eq!((&run["cancel"]["cause"], &run["cancel"]["by"]), (&json!("stale"), &json!("system:sweeper")));
    let reason = run["cancel"]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("no runner claimed it for ") && reason.ends_with(" s"), "{reason}");
    assert_eq!(run["stop"]["outcome"], "never_started");
    assert_eq!(project.cancel(id).status, 412);
    assert_eq!(project.history(id), ["queued", "cancelled"]);
}

#[test]
fn a_run_whose_runner_never_speaks_lapses_and_its_late_finish_is_refused() {
    let project = project();
    let (id, token) = project.started();
    let run = swept(&project, id, "/state", "cancelled");
    let reason = run["cancel"]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("no heartbeat for at least "), "{reason}");
    assert_eq!(run["stop"]["outcome"], "lost");
    let beat = project.heartbeat(id, &token).ok();
    assert_eq!(beat["data"]["stop"]["cause"], "stale", "the runner that comes back is told");
    assert_eq!(beat["data"]["stop"]["lease_lost"], true);
    let finish = || project.finish(id, &token);
    let refused = finish();
    assert_eq!((refused.status, &refused.json()["late_result_kept"]), (412, &json!(true)), "{refused:?}");
    let after = project.show(id);
    assert_eq!((&after["state"], &after["result"], &after["cancel"]), (&run["state"], &run["result"], &run["cancel"]));
    assert_eq!(after["stop"]["outcome"], "lost", "the stop that was none is not told as one");
    let late = &after["shards"][0]["late_result"];
    assert_eq!((&late["state"], &late["result"]), (&json!("ended"), &json!("passed")), "{after}");
    assert_eq!(after["stop"]["late_result_at"], late["at"]);
    assert_eq!(finish().status, 412);
    assert_eq!(project.show(id), after, "it is kept once");
}

#[test]
fn a_run_that_goes_on_too_long_is_stopped_however_alive() {
    let project = project();
    let (id, token) = project.started();
    let stop = eventually("a stop order", || {
        project.server.tick();
        let stop = project.heartbeat(id, &token).ok()["data"]["stop"].take();
        stop.is_object().then_some(stop)
    });
    assert!(stop["reason"].as_str().is_some_and(|r| r.starts_with("still running after ")), "{stop}");
    assert_eq!(stop["lease_lost"], false, "its runner holds the environment until it has stopped");
    assert_eq!(project.finish(id, &token).status, 412);
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn a_stop_that_nobody_confirms_is_lost() {
    let project = project();
    let (id, _) = project.started();
    project.cancel(id).ok();
    assert_eq!(project.show(id)["stop"]["outcome"], "stopping");
    let run = swept(&project, id, "/stop/outcome", "lost");
    assert_eq!((&run["cancel"]["by"], &run["cancel"]["reason"]), (&json!("ada@example.com"), &json!("wrong branch")));
}

#[test]
fn ticks_at_once_and_a_finish_leave_one_terminal_event() {
    let project = project();
    let runs: Vec<(i64, String)> = (0..4).map(|_| project.started()).collect();
    let last = runs.last().expect("a run").0;
    eventually("every lease run out", || {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| project.server.tick());
            }
        });
        (project.show(last)["state"] == "cancelled").then_some(())
    });
    for (id, token) in &runs {
        assert_eq!(project.finish(*id, token).status, 412);
        assert_eq!(project.history(*id), ["queued", "started", "cancelled"]);
    }
}
