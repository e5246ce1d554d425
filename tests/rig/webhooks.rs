//! Webhooks of the real Worker: what a receiver hears that is slow, sends us elsewhere, fails, hangs or hangs up, and what of a
//! Worker that is killed on the way.

use std::time::Duration;

use estop::webhooks::signature::{self, Secret};
use estop_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::backend::Fault;
use crate::client::{Project, eventually, within};
use crate::receiver::{Answer, Message, Receiver};
use crate::workerd::{Rig, timed};

fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis()).expect("milliseconds")
}

/// A webhook: its id and secret.
fn webhook(project: &Project, url: &str, extra: &Value) -> (i64, String) {
    let mut body = json!({"url": url});
    body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let path = format!("/api/projects/{}/webhooks", project.id);
    let made = project.server.admin("POST", &path, Some(&body)).ok();
    (
        made["data"]["webhook"]["id"].as_i64().expect("an id"),
        made["data"]["secret"].as_str().expect("a secret").to_owned(),
    )
}

/// Its deliveries, newest first.
fn deliveries(project: &Project, id: i64) -> Vec<Value> {
    let listed = project.server.admin("GET", &format!("/api/webhooks/{id}/deliveries"), None).ok();
    listed["data"]["deliveries"].as_array().expect("deliveries").clone()
}

/// Its newest delivery, once an attempt has ended.
fn attempted(project: &Project, id: i64) -> Value {
    eventually("an attempt", || {
        deliveries(project, id).into_iter().next().filter(|delivery| !delivery["attempted_at"].is_null())
    })
}

fn moment(value: &Value) -> i64 {
    Timestamp::parse(value.as_str().expect("a moment")).expect("a moment").0
}

fn is_signed(message: &Message, webhook: i64) {
    let at = Timestamp(1000 * message.header("webhook-timestamp").parse::<i64>().expect("seconds"));
    assert!((now() - at.0).abs() < 60_000, "{message:?}");
    let secret = Secret::derived("local-webhooks", webhook, 1);
    let [.., (_, expected)] = signature::headers(&[secret], message.header("webhook-id"), at, &message.body);
    assert_eq!(message.header("webhook-signature"), expected);
}

fn events_of(id: i64, events: &[&str]) -> Vec<(String, i64)> {
    events.iter().map(|event| ((*event).to_owned(), id)).collect()
}

#[test]
fn what_happens_to_a_run_arrives_right_after_the_answer_signed_and_in_order() {
    let rig = Rig::start();
    let project = rig.project();
    let receiver = Receiver::start(|_| Answer::status(204));
    let (hook, secret) = webhook(&project, &format!("{}/hooks?a=b", receiver.url), &json!({}));
    assert_eq!(Secret::derived("local-webhooks", hook, 1).reveal(), secret);
    let (id, token) = project.started();
    project.cancel(id).ok();
    assert_eq!(project.finish(id, &token).status, 412);
    let expected = events_of(id, &["run.started", "run.cancelled", "run.stopped"]);
    eventually("three events, without a tick", || (receiver.events() == expected).then_some(()));
    for message in receiver.heard() {
        is_signed(&message, hook);
        assert_eq!((message.path.as_str(), message.header("content-type")), ("/hooks?a=b", "application/json"));
    }
    eventually("all recorded", || {
        deliveries(&project, hook).iter().all(|delivery| delivery["state"] == "delivered").then_some(())
    });
    let log = rig.log();
    assert!(log.contains(r#""log":"webhooks""#), "{log}");
    assert!(!log.contains(&secret) && !log.contains(&receiver.url), "no secret and no address in the log");
}

#[test]
fn a_receiver_may_be_as_bad_as_it_likes() {
    let rig = Rig::start();
    let project = rig.project();
    let elsewhere = Receiver::start(|_| Answer::status(200));
    let target = elsewhere.url.clone();
    let date = Timestamp(now() + 7_200_000);
    let receiver = Receiver::start(move |message| match message.path.trim_start_matches('/') {
        "slow" => Answer::Late(Duration::from_secs(3), "200 OK".to_owned()),
        "redirect" => Answer::Say(format!("307 Elsewhere\r\nLocation: {target}/"), String::new()),
        "500" => Answer::Say("500 Oops".to_owned(), "y".repeat(20_000)),
        "429" => Answer::Say("429 Later\r\nRetry-After: 600".to_owned(), "not\0now".to_owned()),
        "date" => {
            let date = date.to_string();
            let (year, month, day, time) = (&date[..4], &date[5..7], &date[8..10], &date[11..19]);
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let at = 3 * (month.parse::<usize>().expect("a month") - 1);
            let name = &months[at..at + 3];
            Answer::Say(format!("503 Later\r\nRetry-After: Mon, {day} {name} {year} {time} GMT"), String::new())
        }
        "410" => Answer::status(410),
        "hang" => Answer::Hang,
        "close" => Answer::Close,
        _ => Answer::GoOn,
    });
    let names = ["slow", "redirect", "500", "429", "date", "410", "hang", "close", "endless"];
    let hooks = names.map(|name| {
        let url = format!("{}/{name}", receiver.url);
        webhook(&project, &url, &json!({"events": ["run.cancelled"]})).0
    });
    let id = project.queued();
    let begun = now();
    let (cancelled, took) = timed(|| project.cancel(id));
    assert!(cancelled.status == 200 && took < Duration::from_secs(1), "{took:?}");
    let all = within(Duration::from_secs(40), "an attempt of each", || {
        let all = hooks.map(|hook| deliveries(&project, hook).into_iter().next().unwrap_or_default());
        all.iter().all(|delivery| !delivery["attempted_at"].is_null()).then_some(all)
    });
    let ends = all.each_ref().map(|delivery| {
        let text = |name: &str| delivery[name].as_str().unwrap_or_default().to_owned();
        (text("state"), delivery["status"].as_i64().unwrap_or(0), text("failure"))
    });
    let end = |state: &str, status: i64, failure: &str| (state.to_owned(), status, failure.to_owned());
    let expected = [
        end("delivered", 200, ""),
        end("due", 307, "redirect"),
        end("due", 500, "status"),
        end("due", 429, "status"),
        end("due", 503, "status"),
        end("failed", 410, "status"),
        end("due", 0, "timeout"),
        end("due", 0, "unreachable"),
        end("delivered", 200, ""),
    ];
    assert_eq!(ends, expected, "{names:?}");
    assert_eq!(elsewhere.heard().len(), 0, "no redirect is followed");
    let answer = |index: usize| all[index]["answer"].as_str().expect("an answer");
    assert_eq!((answer(2).len(), answer(8).len()), (8192, 8192));
    assert_eq!(answer(3), "not\u{fffd}now");
    let wait = |index: usize| moment(&all[index]["next_attempt_at"]) - begun;
    assert!((59_000..90_000).contains(&wait(2)), "{}", wait(2));
    assert!((600_000..640_000).contains(&wait(3)), "{}", wait(3));
    assert!((7_190_000..7_240_000).contains(&wait(4)), "{}", wait(4));
    let gone = project.server.admin("GET", &format!("/api/webhooks/{}", hooks[5]), None).ok();
    assert_eq!(gone["data"]["webhook"]["disabled_why"], "gone");
}

#[test]
fn a_tick_tries_again_what_is_due_and_two_ticks_at_once_send_it_once() {
    let rig = Rig::start();
    let project = rig.project();
    let failing = std::sync::atomic::AtomicBool::new(true);
    let failing = std::sync::Arc::new(failing);
    let fails = std::sync::Arc::clone(&failing);
    let receiver = Receiver::start(move |_| {
        Answer::status(if fails.load(std::sync::atomic::Ordering::Relaxed) { 500 } else { 200 })
    });
    let (hook, _) = webhook(&project, &receiver.url, &json!({"events": ["run.cancelled"]}));
    let id = project.queued();
    project.cancel(id).ok();
    let failed = attempted(&project, hook);
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("due"), &json!(1)));
    failing.store(false, std::sync::atomic::Ordering::Relaxed);
    rig.tick(now() + 30_000);
    assert_eq!(receiver.heard().len(), 1, "it is not due");
    let due = moment(&failed["next_attempt_at"]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| rig.tick(due));
        }
    });
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2, "once");
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    assert_eq!(heard[0].body, heard[1].body);
    assert_eq!(deliveries(&project, hook)[0]["state"], "delivered");
}

#[test]
fn a_worker_that_is_killed_between_the_change_and_the_sending_loses_nothing() {
    let mut rig = Rig::start();
    let project = rig.project();
    let receiver = Receiver::start(|_| Answer::status(200));
    let (hook, _) = webhook(&project, &receiver.url, &json!({}));
    let id = project.queued();
    // The cancel goes well, and nobody comes to take what is to be sent.
    rig.backend.inject_after(1, Fault::SilentBefore, u32::MAX);
    project.cancel(id).ok();
    rig.kill_and_heal();
    let project = Project { server: rig.server.clone(), ..project };
    assert_eq!(receiver.heard().len(), 0);
    rig.tick(now());
    assert_eq!(receiver.events(), events_of(id, &["run.cancelled"]));
    rig.tick(now() + 3_600_000);
    assert_eq!(receiver.heard().len(), 1, "once");
    assert_eq!(deliveries(&project, hook)[0]["state"], "delivered");
}

#[test]
fn a_worker_that_is_killed_between_the_sending_and_its_record_sends_it_again_with_the_same_id() {
    let mut rig = Rig::start();
    let project = rig.project();
    // It takes its time with the first, and acknowledges every other.
    let first = std::sync::atomic::AtomicBool::new(true);
    let receiver = Receiver::start(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::Relaxed) { Answer::Hang } else { Answer::status(200) }
    });
    webhook(&project, &receiver.url, &json!({}));
    let (id, token) = project.started();
    eventually("the first attempt", || (receiver.heard().len() == 1).then_some(()));
    project.cancel(id).ok();
    assert_eq!(project.finish(id, &token).status, 412);
    rig.kill_and_heal();
    rig.tick(now());
    assert_eq!(receiver.heard().len(), 1, "its lease is not over, and what comes after it waits");
    rig.tick(now() + 61_000);
    let expected = events_of(id, &["run.started", "run.started", "run.cancelled", "run.stopped"]);
    assert_eq!(receiver.events(), expected);
    let heard = receiver.heard();
    assert_eq!((heard[0].header("webhook-id"), &heard[0].body), (heard[1].header("webhook-id"), &heard[1].body));
    assert_ne!(heard[1].header("webhook-id"), heard[2].header("webhook-id"));
    rig.tick(now() + 7_200_000);
    assert_eq!(receiver.heard().len(), 4, "nothing more");
}

#[test]
fn an_address_of_this_machine_in_disguise_is_refused_by_the_runtimes_own_reader() {
    let rig = Rig::of(|estop| estop.replace(r#"(name = "ESTOP_LOCAL", text = "1"), "#, ""));
    let project = rig.project();
    let path = format!("/api/projects/{}/webhooks", project.id);
    for bad in [
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://LOCALHOST./",
        "https://１２７.0.0.1/",
        "https://user:secret@example.com/",
        "https://example.com/#a",
        "http://example.com/",
        "nonsense",
    ] {
        let refused = project.server.admin("POST", &path, Some(&json!({"url": bad})));
        assert!(refused.status == 400 && refused.message().contains("`url`"), "{bad}: {refused:?}");
    }
    let made = project.server.admin("POST", &path, Some(&json!({"url": "HTTPS://Example.com:443/a/../b"}))).ok();
    assert_eq!(made["data"]["webhook"]["url"], "https://example.com/b");
}
