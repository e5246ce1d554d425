//! The hub: what it tells whom, what nobody can do to it, and that a cancel does not need it.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use estop::key::KeyHash;
use estop::session::Session;
use estop_protocol::time::Timestamp;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::client::{Project, eventually};
use crate::databases::project_in;
use crate::line::{Heard, Line};
use crate::workerd::{HubFault, Rig, timed};

/// How long nothing must come for it to count as silence. What would come does so in milliseconds.
const SILENCE: Duration = Duration::from_millis(300);

fn kill(project: &Project, id: i64) {
    project.post(&format!("/api/test-runs/{id}/kill"), &json!({})).ok();
}

#[test]
fn a_shard_hears_its_orders_and_a_watcher_every_change() {
    let rig = Rig::start();
    let project = rig.project();
    let mut feed = Line::of_project(&project);
    let (id, token) = project.started();
    let mut line = Line::of_shard(&rig.server, id, &token);
    project.cancel(id).ok();
    let order = line.message("stop");
    assert_eq!((&order["test_run"], &order["version"], &order["stop"]["kill"]), (&json!(id), &json!(3), &json!(false)));
    assert_eq!(order["stop"], project.heartbeat(id, &token).ok()["data"]["stop"], "the very order of the heartbeat");
    kill(&project, id);
    assert_eq!(line.message("stop")["stop"]["kill"], true);
    project.finish(id, &token);
    let heard: Vec<Value> = (0..5).map(|_| feed.message("run")["run"].clone()).collect();
    let states: Vec<(&Value, &Value)> = heard.iter().map(|run| (&run["version"], &run["state"])).collect();
    let expected = json!([[1, "queued"], [2, "started"], [3, "cancelled"], [4, "cancelled"], [5, "cancelled"]]);
    assert_eq!(json!(states), expected);
    let listed = project.get("/api/test-runs").ok()["data"]["test_runs"]["items"][0].clone();
    assert_eq!(heard.last(), Some(&listed), "the run as it is in the list");
}

#[test]
fn a_watcher_of_a_run_hears_the_steps_of_its_stop() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let bearer = format!("Bearer {}", project.key);
    let path = format!("/api/test-runs/{id}/watch");
    let mut watcher = Line::open(&rig.server, &path, &[("Authorization", &bearer)]).expect("a line");
    let mut feed = Line::of_project(&project);
    project.cancel(id).ok();
    watcher.message("run");
    feed.message("run");
    rig.backend.count();
    project.post(&format!("/api/test-runs/{id}/heartbeat"), &json!({"lease": token, "step": "sigterm"})).ok();
    let step = watcher.message("step");
    assert_eq!((&step["test_run"], &step["shard"], &step["step"]), (&json!(id), &json!(1), &json!("sigterm")));
    assert_eq!((feed.within(SILENCE), rig.backend.count().0), (None, 1), "and nobody else, for the heartbeat alone");
}

#[test]
fn one_cancel_reaches_64_shards_at_once() {
    let rig = Rig::start();
    let project = rig.project();
    let body = json!({"environment": "staging", "group": "many", "total_shards": 64});
    let registered = project.call("PUT", "/api/test-runs", Some(&body)).ok();
    let id = registered["data"]["test_run"]["id"].as_i64().expect("an id");
    let mut lines: Vec<Line> = (1..=64)
        .map(|shard| {
            let claimed = project.post(&format!("/api/test-runs/{id}/claim"), &json!({"shard": shard})).ok();
            Line::of_shard(&rig.server, id, claimed["data"]["lease"]["token"].as_str().expect("a token"))
        })
        .collect();
    project.cancel(id).ok();
    let (_, apart) = timed(|| lines.iter_mut().for_each(|line| assert_eq!(line.message("stop")["test_run"], id)));
    println!("64 shards have heard it {apart:?} after the cancel's answer");
    assert!(apart < Duration::from_secs(1), "{apart:?}");
}

#[test]
fn nobody_hears_of_another_project() {
    let rig = Rig::start();
    let (ours, theirs) = (rig.project(), rig.project());
    let mut feed = Line::of_project(&theirs);
    let (id, token) = ours.started();
    let (other, _) = ours.started();
    let path = format!("/api/test-runs/{id}/watch");
    let refused = |headers: &[(&str, &str)]| Line::open(&rig.server, &path, headers).err();
    let bearer = format!("Bearer {}", theirs.key);
    assert_eq!(refused(&[("Authorization", &bearer)]), Some(404), "another project's key");
    assert_eq!(refused(&[]), Some(401));
    let own = format!("Bearer {}", ours.key);
    assert_eq!(refused(&[("Estop-Lease", &ours.key), ("Authorization", &own)]), Some(409), "a key is no lease");
    let elsewhere = Line::open(&rig.server, &format!("/api/test-runs/{other}/watch"), &[("Estop-Lease", &token)]);
    assert_eq!(elsewhere.err(), Some(409), "another run's lease");
    let tags = [("Authorization", own.as_str()), ("x-estop-tags", "feed,run:1")];
    let mut run = Line::open(&rig.server, &format!("/api/test-runs/{other}/watch"), &tags).expect("a line");
    ours.cancel(id).ok();
    assert_eq!((feed.within(SILENCE), run.within(SILENCE)), (None, None), "and a client's own tags say nothing");
}

/// A line's report that so many tests are done.
fn report(done: u32) -> Message {
    let progress = json!({"total": 412, "done": done, "failed": 1, "current": "checkout › pays"});
    Message::text(json!({"type": "progress", "progress": progress}).to_string())
}

fn of_run(project: &Project, id: i64) -> Line {
    let bearer = format!("Bearer {}", project.key);
    let path = format!("/api/test-runs/{id}/watch");
    Line::open(&project.server, &path, &[("Authorization", &bearer)]).expect("a line")
}

#[test]
fn what_a_line_reports_reaches_who_watches_the_run_or_the_project_and_nobody_else() {
    let rig = Rig::start();
    let (project, other) = (rig.project(), rig.project());
    let (id, token) = project.started();
    let (neighbour, their_token) = project.started();
    let mut line = Line::of_shard(&rig.server, id, &token);
    let mut watcher = of_run(&project, id);
    assert_eq!(line.message("watched"), json!({"type": "watched", "watched": true}));
    let (mut feed, mut elsewhere) = (Line::of_project(&project), Line::of_project(&other));
    assert_eq!(line.message("watched")["watched"], true, "the feed's watcher too");
    let mut next = of_run(&project, neighbour);
    let mut theirs = Line::of_shard(&rig.server, neighbour, &their_token);
    assert_eq!(theirs.message("watched")["watched"], true, "a line that opens late is told at once");
    rig.backend.count();
    line.0.send(report(170)).expect("a line");
    for who in [&mut watcher, &mut feed] {
        let heard = who.message("progress");
        assert_eq!((&heard["test_run"], &heard["shard"]), (&json!(id), &json!(1)));
        let progress =
            json!({"total": 412, "done": 170, "failed": 1, "flaky": 0, "skipped": 0, "current": "checkout › pays"});
        assert_eq!(heard["progress"], progress);
    }
    for who in [&mut elsewhere, &mut next, &mut theirs, &mut line] {
        assert_eq!(who.within(SILENCE), None);
    }
    assert_eq!(rig.backend.count().0, 0, "it is written nowhere");
}

#[test]
fn a_line_is_told_when_nobody_watches_any_more() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let mut line = Line::of_shard(&rig.server, id, &token);
    assert_eq!(line.within(SILENCE), None, "nobody watches");
    let (mut watcher, mut feed) = (of_run(&project, id), Line::of_project(&project));
    assert_eq!([line.message("watched"), line.message("watched")].map(|said| said["watched"].clone()), [true, true]);
    for (who, done, left) in [(&mut watcher, 1, true), (&mut feed, 2, false)] {
        who.0.close(None).expect("a line");
        while !matches!(who.next(), Heard::Closed(_)) {}
        line.0.send(report(done)).expect("a line");
        if left {
            assert_eq!(line.within(SILENCE), None, "somebody still hears it");
        }
    }
    assert_eq!(line.message("watched")["watched"], false);
    let mut again = of_run(&project, id);
    assert_eq!(line.message("watched")["watched"], true);
    line.0.send(report(3)).expect("a line");
    assert_eq!(again.message("progress")["progress"]["done"], 3);
}

#[test]
fn a_line_that_reports_too_often_too_much_or_nonsense_is_cut_off_and_so_is_a_watcher_that_reports() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let mut feed = Line::of_project(&project);
    let mut flood = Line::of_shard(&rig.server, id, &token);
    assert_eq!(flood.message("watched")["watched"], true);
    rig.backend.count();
    for done in 0..1000 {
        // Cut off before the last of them.
        let _ = flood.0.send(report(done));
    }
    assert!(matches!(flood.next(), Heard::Closed(1006 | 1008)));
    let heard = std::iter::from_fn(|| feed.within(SILENCE)).count();
    assert_eq!(heard, 10, "what a connection that stood still may bring at once");
    let long = json!({"type": "progress", "progress": {"done": 1, "current": "x".repeat(501)}}).to_string();
    let padded = format!("{}{{\"type\":\"progress\",\"progress\":{{}}}}", " ".repeat(4096));
    for odd in [r#"{"type":"progress"}"#, r#"{"type":"progress","progress":{"done":-1}}"#, &long, &padded, "[[[["] {
        let mut line = Line::of_shard(&rig.server, id, &token);
        line.message("watched");
        line.0.send(Message::text(odd)).expect("a line");
        assert_eq!(line.next(), Heard::Closed(1008), "{odd}");
    }
    for mut watcher in [of_run(&project, id), Line::of_project(&project)] {
        watcher.0.send(report(1)).expect("a line");
        assert_eq!(watcher.next(), Heard::Closed(1008), "a key has nothing to say");
    }
    assert_eq!(feed.within(SILENCE), None);
}

/// The hub sleeps after some ten seconds of silence, and its memory is gone then.
#[test]
fn a_hub_that_has_slept_still_knows_who_watches_whom_and_what_a_line_has_used_up() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let mut feed = Line::of_project(&project);
    let mut line = Line::of_shard(&rig.server, id, &token);
    line.message("watched");
    for done in 0..10 {
        line.0.send(report(done)).expect("a line");
        assert_eq!(feed.message("progress")["progress"]["done"], done);
    }
    std::thread::sleep(Duration::from_secs(13));
    for done in 10..13 {
        line.0.send(report(done)).expect("a line");
        assert_eq!(feed.message("progress")["progress"]["done"], done, "three in thirteen seconds");
    }
    line.0.send(report(13)).expect("a line");
    assert_eq!(line.next(), Heard::Closed(1008), "and not a fourth");
}

#[test]
fn a_client_that_talks_is_cut_off_and_nothing_is_written() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let open = || Line::of_shard(&rig.server, id, &token);
    let mut line = open();
    line.0.send(Message::text("ping")).expect("a line");
    assert_eq!(line.next(), Heard::Text("pong".to_owned()));
    rig.backend.count();
    for (message, code) in [
        (Message::text("{}"), 1008),
        (Message::text("x".repeat(64 * 1024)), 1008),
        (Message::binary(vec![0; 64 * 1024]), 1003),
    ] {
        let mut line = open();
        rig.backend.count();
        line.0.send(message).expect("a line");
        assert_eq!((line.next(), rig.backend.count().0), (Heard::Closed(code), 0));
    }
    let mut flood = open();
    rig.backend.count();
    for _ in 0..1000 {
        // Cut off before the last of them.
        let _ = flood.0.send(Message::text("stop"));
    }
    assert!(matches!(flood.next(), Heard::Closed(1006 | 1008)));
    assert_eq!(rig.backend.count().0, 0);
    project.cancel(id).ok();
    assert_eq!(line.message("stop")["test_run"], id, "the others hear on");
}

#[test]
fn a_thousand_upgrades_that_nobody_goes_on_with_leave_the_service_as_it_is() {
    let rig = Rig::start();
    let project = rig.project();
    let (id, token) = project.started();
    let upgrade = format!(
        "GET /api/test-runs/{id}/watch HTTP/1.1\r\nHost: estop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nEstop-Lease: {token}\r\n"
    );
    let half_open: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let mut stream = TcpStream::connect(&rig.address).expect("a connection");
            // The empty line that ends a request never comes.
            stream.write_all(upgrade.as_bytes()).expect("a line");
            stream
        })
        .collect();
    let mut line = Line::of_shard(&rig.server, id, &token);
    project.cancel(id).ok();
    assert_eq!(line.message("stop")["test_run"], id);
    drop(half_open);
}

/// A revoked key hears nothing more within a minute, and neither does one that has expired, nor a session that is over.
#[test]
fn sockets_of_a_key_that_is_over_are_closed() {
    let rig = Rig::start();
    let project = rig.project();
    let (key, id) = project.key("eve", &["read"], None);
    let open = |key: &str| {
        let bearer = format!("Bearer {key}");
        Line::open(&rig.server, "/api/watch", &[("Authorization", &bearer)]).expect("a line")
    };
    let (mut revoked, mut valid) = (open(&key), open(&project.key));
    // A session that ends soon, of a key that does not.
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis();
    let ends = Timestamp(i64::try_from(now).expect("milliseconds") + 2_000);
    let cookie = Session { key: KeyHash::of(&project.key), ends }.cookie("local-sessions");
    let headers = [("Cookie", cookie.split(';').next().expect("a pair")), ("Origin", rig.server.url.as_str())];
    let mut over = Line::open(&rig.server, "/api/watch", &headers).expect("a line");
    assert_eq!(rig.server.admin("DELETE", &format!("/api/keys/{id}"), None).status, 200);
    assert_eq!(revoked.within(Duration::from_secs(60)), Some(Heard::Closed(4401)));
    assert_eq!(over.within(Duration::from_secs(5)), Some(Heard::Closed(4401)));
    assert_eq!(valid.within(SILENCE), None);
}

/// They are looked up in the database that has the project.
#[test]
fn sockets_of_a_key_that_is_over_are_closed_whichever_database_has_it() {
    let rig = Rig::start_with_databases(2, "k3=1");
    let (project, revoked) = project_in(&rig, "k3", 1);
    let body = json!({"project_id": project, "user": "eve", "name": "CI", "scopes": ["read"]});
    let valid = rig.server.admin("POST", "/api/keys", Some(&body)).ok()["data"]["token"].clone();
    let open = |key: &str| {
        let bearer = format!("Bearer {key}");
        Line::open(&rig.server, "/api/watch", &[("Authorization", &bearer)]).expect("a line")
    };
    let (mut over, mut goes_on) = (open(&revoked), open(valid.as_str().expect("a key")));
    rig.database(1).sql("UPDATE keys SET revoked_at = created_at WHERE user = 'ada@example.com'");
    assert_eq!(over.within(Duration::from_secs(60)), Some(Heard::Closed(4401)));
    assert_eq!(goes_on.within(SILENCE), None);
}

/// That a cancel goes on as ever is in the fault matrix. Here: the log says that nobody was told, and who asks for a line
/// is told to come again.
#[test]
fn a_hub_that_does_not_work_is_in_the_log_and_opens_no_line() {
    for fault in HubFault::ALL {
        let rig = Rig::start_with_hub_fault(fault);
        let project = rig.project();
        let (id, token) = project.started();
        project.cancel(id).ok();
        assert_eq!(project.heartbeat(id, &token).ok()["data"]["stop"]["by"], "ada@example.com", "{fault:?}");
        let told = || rig.log().lines().any(|line| line.contains(r#""log":"hub""#) && line.contains("not_told"));
        eventually("a line of the log", || told().then_some(()));
        let path = format!("/api/test-runs/{id}/watch");
        let (opened, took) = timed(|| Line::open(&rig.server, &path, &[("Estop-Lease", &token)]).err());
        assert_eq!(opened, Some(503), "{fault:?}");
        assert!(took < Duration::from_secs(8), "{fault:?}: {took:?}");
    }
}

#[test]
fn a_bulk_cancel_is_one_message_to_the_hub_and_tells_of_every_run() {
    let rig = Rig::start();
    let project = rig.project();
    let ids: Vec<i64> = (0..100).map(|_| project.queued()).collect();
    let mut feed = Line::of_project(&project);
    project.post("/api/test-runs/cancel", &json!({"ids": ids})).ok();
    let heard: Vec<Value> = ids.iter().map(|_| feed.message("run")["run"]["id"].clone()).collect();
    assert_eq!(json!(heard), json!(ids), "in the order in which they were cancelled");
    let rig = Rig::start_with_hub("console.log('it hears of ' + (await request.json()).length); return new Response()");
    let project = rig.project();
    let ids: Vec<i64> = (0..3).map(|_| project.queued()).collect();
    project.post("/api/test-runs/cancel", &json!({"ids": ids})).ok();
    eventually("one message of three runs", || rig.log().contains("it hears of 3").then_some(()));
}
