//! One run on many machines, over real HTTP: joining, stopping, killing.

use std::collections::HashSet;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::client::{Answer, Project};

fn registration(group: &str, total: usize) -> Value {
    json!({"environment": "staging", "group": group, "total_shards": total})
}

fn claim(project: &Project, id: i64, shard: usize) -> Answer {
    project.post(&format!("/api/test-runs/{id}/claim"), &json!({"shard": shard, "runner": format!("ci-{shard}")}))
}

fn token(claimed: &Answer) -> String {
    assert_eq!(claimed.status, 200, "{claimed:?}");
    claimed.json()["data"]["lease"]["token"].as_str().expect("a token").to_owned()
}

fn kill(project: &Project, id: i64) -> Answer {
    project.post(&format!("/api/test-runs/{id}/kill"), &json!({}))
}

#[test]
fn sixty_four_jobs_that_register_at_once_make_one_run_and_each_gets_its_shard() {
    let project = Project::new();
    let start = Barrier::new(64);
    let joined: Vec<(i64, bool)> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (1..=64)
            .map(|shard| {
                let (project, start) = (&project, &start);
                scope.spawn(move || {
                    start.wait();
                    let data = project.call("PUT", "/api/test-runs", Some(&registration("ci:1", 64))).ok();
                    let id = data["data"]["test_run"]["id"].as_i64().expect("an id");
                    token(&claim(project, id, shard));
                    (id, data["data"]["joined"].as_bool().expect("a bool"))
                })
            })
            .collect();
        jobs.into_iter().map(|job| job.join().expect("a job")).collect()
    });
    let ids: HashSet<i64> = joined.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), 1, "{joined:?}");
    assert_eq!(joined.iter().filter(|(_, joined)| !joined).count(), 1, "one registered it, the others joined");
    let run = project.show(joined[0].0);
    assert_eq!((&run["state"], run["shards"].as_array().map(Vec::len)), (&json!("started"), Some(64)), "{run}");
    assert_eq!(run["version"], 65, "each claim counts");
}

#[test]
fn of_64_runners_that_claim_one_shard_at_once_one_gets_it() {
    let project = Project::new();
    let data = project.call("PUT", "/api/test-runs", Some(&registration("ci:2", 2))).ok();
    let id = data["data"]["test_run"]["id"].as_i64().expect("an id");
    let start = Barrier::new(64);
    let won = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..64)
            .map(|_| {
                let (project, start) = (&project, &start);
                scope.spawn(move || {
                    start.wait();
                    claim(project, id, 2).status
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().expect("a claim")).filter(|status| *status == 200).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn one_cancel_stops_every_shard_and_closes_with_the_worst() {
    let project = Project::new();
    let data = project.call("PUT", "/api/test-runs", Some(&registration("ci:3", 4))).ok();
    let id = data["data"]["test_run"]["id"].as_i64().expect("an id");
    let tokens: Vec<String> = (1..=3).map(|shard| token(&claim(&project, id, shard))).collect();
    project.finish(id, &tokens[0]).ok();
    let list = project.get("/api/test-runs").ok();
    let run = &list["data"]["test_runs"]["items"][0];
    assert_eq!((&run["finished_shards"], &run["total_shards"]), (&json!(1), &json!(4)), "{run}");

    project.cancel(id).ok();
    for token in &tokens[1..] {
        let beat = project.heartbeat(id, token).ok();
        assert_eq!(beat["data"]["stop"]["by"], "ada@example.com", "{beat}");
    }
    let late = claim(&project, id, 4);
    assert_eq!(late.status, 412);
    assert!(late.message().contains("ada@example.com cancelled it"), "who comes late hears who and when: {late:?}");
    let confirm = |token: &str, outcome: &str| {
        let body = json!({"lease": token, "state": "ended", "result": "failed", "stop": {"outcome": outcome}});
        assert_eq!(project.post(&format!("/api/test-runs/{id}/finish"), &body).status, 412);
        project.show(id)["stop"]["outcome"].clone()
    };
    assert_eq!(confirm(&tokens[1], "terminated"), "stopping", "one has not stopped yet");
    assert_eq!(confirm(&tokens[2], "graceful"), "terminated");
    let events = project.get(&format!("/api/test-runs/{id}/events")).ok();
    let last = events["data"]["events"].as_array().and_then(|events| events.last()).expect("an event").clone();
    assert_eq!((&last["cause"], &last["reason"]), (&json!("stopped"), &json!("terminated")), "{events}");
}

#[test]
fn a_kill_reaches_what_is_still_stopping_and_nothing_else() {
    let project = Project::new();
    let (id, token) = project.started();
    let early = kill(&project, id);
    assert_eq!(early.status, 412);
    assert!(early.message().contains("Cancel it first"), "{early:?}");
    assert_eq!(project.heartbeat(id, &token).ok()["data"]["stop"], json!(null));
    project.cancel(id).ok();
    assert_eq!(project.heartbeat(id, &token).ok()["data"]["stop"]["kill"], json!(false));
    kill(&project, id).ok();
    assert_eq!(project.heartbeat(id, &token).ok()["data"]["stop"]["kill"], json!(true));
    let stop = project.show(id)["stop"].clone();
    assert_eq!(stop["kill"]["by"], "ada@example.com", "{stop}");
    let again = kill(&project, id);
    assert_eq!(again.status, 200, "it is under way: {again:?}");
    assert_eq!(project.show(id)["stop"], stop, "the first order stands");
    assert_eq!(project.finish(id, &token).status, 412);
    let closed = kill(&project, id);
    assert_eq!(closed.status, 412, "{closed:?}");
    assert!(closed.message().contains("has stopped already"), "{closed:?}");
    let events = project.get(&format!("/api/test-runs/{id}/events")).ok();
    let causes: Vec<&Value> =
        events["data"]["events"].as_array().into_iter().flatten().map(|event| &event["cause"]).collect();
    assert_eq!(json!(causes), json!(["registered", "claimed", "user", "kill", "stopped"]));
    let waiting = project.queued();
    project.cancel(waiting).ok();
    assert_eq!(kill(&project, waiting).status, 412, "nothing ran");
    assert_eq!(kill(&project, crate::client::NOBODYS).status, 404);
}

#[test]
fn a_kill_repeated_with_its_idempotency_key_gets_its_200_though_it_has_stopped_since() {
    let project = Project::new();
    let (id, token) = project.started();
    project.cancel(id).ok();
    let path = format!("/api/test-runs/{id}/kill");
    let send = |key: &str| {
        let bearer = format!("Bearer {}", project.key);
        project.server.send("POST", &path, &[("Authorization", &bearer), ("Idempotency-Key", key)], b"")
    };
    let first = send("k");
    assert_eq!(project.finish(id, &token).status, 412);
    assert_eq!((first.status, send("k").status, send("other").status), (200, 200, 412));
}
