//! Orders that the service tells by itself, and what becomes of them where WebSockets do not get through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Project, eventually};
use crate::concurrency::limited;
use crate::relay::Relay;
use crate::support::{Running, estop, start_at};

/// Says when it is told to stop.
const SCRIPT: &str = "trap 'echo heard; exit 0' INT; echo ready; while :; do sleep 0.02; done";

/// Far less than the two seconds between heartbeats without a line, let alone the thirty with one.
const AT_ONCE: Duration = Duration::from_secs(1);

const HEARTBEAT: &str = "/heartbeat ";
const WATCH: &str = "/watch ";

/// A run whose line is open, as the heartbeat after that shows. Its line is dead after 2 s of silence.
fn with_line(project: &Project, relay: &Relay) -> (Running, i64) {
    let mut command = estop(&relay.url, &project.key);
    command.args(["run", "-e", "staging", "--", "sh", "-c", SCRIPT]).env("ESTOP_TEST_PATIENCE_MS", "1000");
    let mut running = Running::of(&mut command);
    running.says("ready");
    eventually("an open line", || (relay.seen(WATCH) == 1 && relay.seen(HEARTBEAT) == 1).then_some(()));
    // Else that one might bring the order.
    eventually("its answer", || relay.has_answered(HEARTBEAT).then_some(()));
    let id = running.id();
    (running, id)
}

/// Cancels, and returns how long it took until the tests heard of it.
fn cancel(project: &Project, running: &mut Running, id: i64) -> Duration {
    assert_eq!(project.cancel(id).status, 200);
    let cancelled = stopwatch();
    running.says("heard");
    cancelled.elapsed()
}

#[test]
fn an_order_arrives_long_before_the_next_heartbeat() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let (mut running, id) = with_line(&project, &relay);
    sleep(Duration::from_secs(5));
    assert_eq!((relay.seen(HEARTBEAT), relay.seen(WATCH)), (1, 1), "the line is open");
    let took = cancel(&project, &mut running, id);
    assert!(took < AT_ONCE, "{took:?}");
    let ended = running.end().expect_code(120);
    assert!(ended.stderr.contains("wrong branch"), "{ended:?}");
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn an_order_to_kill_arrives_at_once_too() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let mut command = estop(&relay.url, &project.key);
    let script = "trap 'echo heard' INT; echo ready; while :; do sleep 0.02; done";
    let mut running = Running::of(command.args(["run", "-e", "staging", "--grace", "60", "--", "sh", "-c", script]));
    running.says("ready");
    eventually("an open line", || (relay.seen(HEARTBEAT) == 1).then_some(()));
    let id = running.id();
    cancel(&project, &mut running, id);
    let before = relay.seen(HEARTBEAT);
    assert_eq!(project.post(&format!("/api/test-runs/{id}/kill"), &json!({})).status, 200);
    let killed = stopwatch();
    running.end().expect_code(120);
    assert!(killed.elapsed() < AT_ONCE * 2, "{:?} and {} heartbeats", killed.elapsed(), relay.seen(HEARTBEAT) - before);
    assert_eq!(project.show(id)["stop"]["outcome"], "killed");
}

#[test]
fn a_line_that_swallows_everything_is_noticed_and_heartbeats_come_often_again() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let (mut running, id) = with_line(&project, &relay);
    relay.swallow();
    eventually("short heartbeats", || (relay.seen(HEARTBEAT) >= 4).then_some(()));
    let took = cancel(&project, &mut running, id);
    assert!(took < Duration::from_secs(4), "{took:?}");
    running.end().expect_code(120);
}

#[test]
fn an_order_that_a_line_swallows_comes_with_the_heartbeat() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let (mut running, id) = with_line(&project, &relay);
    relay.swallow();
    let took = cancel(&project, &mut running, id);
    assert!(took > AT_ONCE / 2 && took < Duration::from_secs(6), "{took:?}");
    running.end().expect_code(120);
    assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn a_line_that_is_cut_opens_again() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let (mut running, id) = with_line(&project, &relay);
    relay.kill();
    // One as the first line died, one as the second opened.
    eventually("another line", || (relay.seen(WATCH) == 2 && relay.seen(HEARTBEAT) == 3).then_some(()));
    let took = cancel(&project, &mut running, id);
    assert!(took < AT_ONCE, "{took:?}");
    running.end().expect_code(120);
}

#[test]
fn an_order_while_there_is_no_line_is_heard() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let (mut running, id) = with_line(&project, &relay);
    relay.refuse(Some(("502 Bad Gateway", "<html>")));
    relay.kill();
    eventually("an attempt", || (relay.seen(WATCH) >= 3).then_some(()));
    let took = cancel(&project, &mut running, id);
    assert!(took < Duration::from_secs(4), "{took:?}");
    running.end().expect_code(120);
}

#[test]
fn without_push_no_line_is_opened_and_heartbeats_bring_the_order() {
    let project = Project::new();
    for by_variable in [false, true] {
        let relay = Relay::before(&project.server.url);
        let mut command = estop(&relay.url, &project.key);
        command.args(["run", "-e", "staging"]);
        if by_variable {
            command.env("ESTOP_NO_PUSH", "1")
        } else {
            command.arg("--no-push")
        };
        let mut running = Running::of(command.args(["--", "sh", "-c", SCRIPT]));
        running.says("ready");
        eventually("two heartbeats", || (relay.seen(HEARTBEAT) >= 2).then_some(()));
        let id = running.id();
        cancel(&project, &mut running, id);
        running.end().expect_code(120);
        assert_eq!(relay.seen(WATCH), 0);
    }
}

#[test]
fn a_service_without_lines_is_asked_once_and_nobody_is_bothered() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    relay.refuse(Some(("404 Not Found", r#"{"data":null,"error":{"message":"No such route."}}"#)));
    let mut running = start_at(&relay.url, &project, &["run", "-e", "staging", "--", "sh", "-c", SCRIPT]);
    eventually("two heartbeats", || (relay.seen(HEARTBEAT) >= 2).then_some(()));
    let id = running.id();
    cancel(&project, &mut running, id);
    let ended = running.end().expect_code(120);
    assert_eq!((relay.seen(WATCH), ended.stderr.contains("watch") || ended.stderr.contains("404")), (1, false));
}

/// A proxy that lets every name lead to one service; it understands nothing but CONNECT. Counts what it connected.
fn connect_proxy(target: &str) -> (String, Arc<AtomicUsize>) {
    let target = target.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let connected = Arc::<AtomicUsize>::default();
    let counter = connected.clone();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            // It may come in pieces, and what comes after it is not ours.
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                head.extend(byte);
            }
            if !head.starts_with(b"CONNECT estop.test:80 ") {
                continue;
            }
            let Ok(server) = TcpStream::connect(&target) else { return };
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("it reads");
            counter.fetch_add(1, Ordering::Relaxed);
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    (url, connected)
}

#[test]
fn a_line_goes_through_the_proxy_that_requests_go_through() {
    let project = Project::new();
    let relay = Relay::before(&project.server.url);
    let (proxy, connected) = connect_proxy(&relay.url);
    let mut command = estop("http://estop.test", &project.key);
    command.args(["run", "-e", "staging", "--", "sh", "-c", SCRIPT]).env("HTTP_PROXY", &proxy).env_remove("NO_PROXY");
    let mut running = Running::of(command.env_remove("no_proxy"));
    eventually("an open line", || (relay.seen(WATCH) == 1 && relay.seen(HEARTBEAT) == 1).then_some(()));
    let id = running.id();
    let took = cancel(&project, &mut running, id);
    assert!(took < AT_ONCE && connected.load(Ordering::Relaxed) >= 2, "{took:?}");
    running.end().expect_code(120);

    let relay = Relay::before(&project.server.url);
    let mut command = estop(&relay.url, &project.key);
    command.env("HTTP_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
    let mut running = Running::of(command.args(["run", "-e", "staging", "--", "sh", "-c", SCRIPT]));
    eventually("an open line without the proxy", || (relay.seen(HEARTBEAT) == 1).then_some(()));
    let id = running.id();
    let took = cancel(&project, &mut running, id);
    assert!(took < AT_ONCE, "{took:?}");
    running.end().expect_code(120);
}

#[test]
fn a_run_that_waits_starts_as_soon_as_the_one_before_it_is_over() {
    let project = limited("queue_new");
    let (first, token) = project.started();
    let relay = Relay::before(&project.server.url);
    let mut running = start_at(&relay.url, &project, &["run", "-e", "staging", "--", "echo", "ran"]);
    running.says("Waiting");
    // The first one, and one as the line opened.
    eventually("an open line", || (relay.seen("/claim ") == 2).then_some(()));
    sleep(Duration::from_secs(3));
    assert_eq!(relay.seen("/claim "), 2, "it does not ask");
    assert_eq!(project.finish(first, &token).status, 200);
    let finished = stopwatch();
    running.says("ran");
    assert!(finished.elapsed() < AT_ONCE, "{:?}", finished.elapsed());
    running.end().expect_code(0);
}

#[test]
fn a_run_that_waits_with_a_key_that_may_not_read_asks_as_ever() {
    let project = limited("queue_new");
    let (first, token) = project.started();
    let relay = Relay::before(&project.server.url);
    let (key, _) = project.key("ci", &["run"], None);
    let mut running = Running::of(estop(&relay.url, &key).args(["run", "-e", "staging", "--", "echo", "ran"]));
    running.says("Waiting");
    eventually("three claims", || (relay.seen("/claim ") >= 3).then_some(()));
    assert_eq!(project.finish(first, &token).status, 200);
    running.end().expect_code(0);
    // One while it waited, and one for its own orders.
    assert!(relay.seen(WATCH) <= 2);
}

#[test]
fn a_wait_ends_as_soon_as_the_run_does_and_hardly_asks() {
    let project = Project::new();
    let (id, token) = project.started();
    let relay = Relay::before(&project.server.url);
    let waiting = start_at(&relay.url, &project, &["wait", &id.to_string(), "--timeout", "1m"]);
    let show = format!("GET /api/test-runs/{id} ");
    eventually("an open line", || (relay.seen(&show) == 2).then_some(()));
    sleep(Duration::from_secs(4));
    assert_eq!(relay.seen(&show), 2, "it does not ask");
    assert_eq!(project.finish(id, &token).status, 200);
    let finished = stopwatch();
    waiting.end().expect_code(0);
    assert!(finished.elapsed() < AT_ONCE, "{:?}", finished.elapsed());
}

#[test]
fn who_waits_for_the_tests_to_stop_hears_of_it_at_once() {
    for by_cancel in [true, false] {
        let project = Project::new();
        let (id, token) = project.started();
        let relay = Relay::before(&project.server.url);
        let id_text = id.to_string();
        let arguments: &[&str] =
            if by_cancel { &["cancel", &id_text, "--wait"] } else { &["wait", &id_text, "--stopped"] };
        if !by_cancel {
            assert_eq!(project.cancel(id).status, 200);
        }
        let waiting = start_at(&relay.url, &project, arguments);
        let show = format!("GET /api/test-runs/{id} ");
        eventually("an open line", || (relay.seen(&show) == 2).then_some(()));
        sleep(Duration::from_secs(3));
        assert_eq!(relay.seen(&show), 2, "it does not ask");
        let stop = json!({"lease": token, "state": "ended", "result": "passed", "stop": {"outcome": "graceful"}});
        assert_eq!(project.post(&format!("/api/test-runs/{id}/finish"), &stop).status, 412);
        let confirmed = stopwatch();
        let ended = waiting.end().expect_code(if by_cancel { 0 } else { 120 });
        assert!(confirmed.elapsed() < AT_ONCE, "{:?}", confirmed.elapsed());
        assert!(ended.stdout.contains("stopped gracefully"), "{ended:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's stopwatch")]
fn stopwatch() -> Instant {
    Instant::now()
}
