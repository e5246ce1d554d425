//! What is sent: its signature, a test, what is sent once more, a sentence for Slack.

use estop::http::operation::Operation;
use estop::operations::admin::webhooks as room;
use estop::operations::cancel;
use estop::run::Event;
use estop::webhooks::Which;
use estop::webhooks::signature::{self, Secret};
use estop_protocol::run::{Finish, State};
use estop_protocol::time::Timestamp;
use estop_protocol::webhooks::OneDelivery;
use serde_json::{Value, json};

use super::{DAY, Receiver, ask, deliver, deliveries, header, is_a, status, webhook};
use crate::world::{ADMIN, Ask, World, data};

#[test]
fn while_the_secret_is_being_changed_both_are_good() {
    let world = World::new();
    let (id, first) = webhook(&world, &json!({}));
    let rotate = |key: &str| world.send(&Ask::new(&room::ROTATE).about(id).with_key(ADMIN).idempotent(key));
    let rotated = rotate("once");
    assert_eq!(rotate("once"), rotated, "a repeat changes nothing");
    let second = data(&rotated)["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(first, second);
    let secrets = [2, 1].map(|generation| Secret::derived("webhook-secret", id, generation));
    assert_eq!(secrets.each_ref().map(Secret::reveal), [second.clone(), first]);
    let signed = || {
        let receiver = Receiver::default();
        world.run_in(State::Started);
        deliver(&world, &receiver, Which::Fresh);
        let post = receiver.heard.borrow()[0].clone();
        let headers = |secrets: &[Secret]| {
            let at = Timestamp(1000 * header(&post, "webhook-timestamp").parse::<i64>().expect("seconds"));
            signature::headers(secrets, header(&post, "webhook-id"), at, &post.body)[2].1.clone()
        };
        let given = header(&post, "webhook-signature").to_owned();
        (given.clone(), given == headers(&secrets), given == headers(&secrets[..1]))
    };
    let (given, both, _) = signed();
    assert!(both && given.split(' ').count() == 2, "{given}");
    world.pass(DAY);
    let (given, _, one) = signed();
    assert!(one && given.split(' ').count() == 1, "{given}");
    let stored: String = world
        .runtime
        .db
        .borrow()
        .query_row("SELECT group_concat(json_array(w.url, w.request_id, w.request_hash, w.origin, d.data)) FROM webhooks w, deliveries d", [], |r| r.get(0))
        .expect("rows");
    assert!(!stored.contains(&second["whsec_".len()..]), "the database knows no secret");
}

#[test]
fn a_test_and_a_redelivery_go_out_at_once_and_are_written_once() {
    let world = World::new();
    let (id, _) = webhook(&world, &json!({"events": ["run.ended"]}));
    let send = |operation: &Operation, about: i64, key: &str| {
        world.send(&Ask::new(operation).about(about).with_key(ADMIN).idempotent(key))
    };
    let tested = send(&room::TEST, id, "test");
    assert_eq!((tested.status, send(&room::TEST, id, "test")), (200, tested.clone()));
    assert!(world.runtime.delivers.take());
    let first = data(&tested)["delivery"]["id"].as_i64().expect("an id");
    let early = send(&room::REDELIVER, first, "early");
    assert!(early.status == 409 && early.body.contains("still to come"), "{early:?}");
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Fresh);
    let again = send(&room::REDELIVER, first, "again");
    assert_eq!((again.status, send(&room::REDELIVER, first, "again")), (200, again.clone()));
    assert!(world.runtime.delivers.take());
    deliver(&world, &receiver, Which::Fresh);
    assert_eq!(receiver.types(), [("test".to_owned(), 0), ("test".to_owned(), 0)]);
    let heard = receiver.heard.borrow();
    assert_eq!(header(&heard[0], "webhook-id"), header(&heard[1], "webhook-id"));
    assert_eq!(heard[0].body, heard[1].body);
    let message: Value = serde_json::from_str(&heard[0].body).expect("JSON");
    assert_eq!(message["data"], json!({"project": {"id": 1, "slug": "one", "name": "One"}, "webhook": {"id": id}}));
    is_a::<OneDelivery>(&data(&again));
    assert_eq!(data(&again)["delivery"]["redelivers"], first);
    ask(&world, &room::CHANGE, id, &json!({"disabled": true}));
    for (operation, about) in [(&room::TEST, id), (&room::REDELIVER, first)] {
        let off = ask(&world, operation, about, &json!({}));
        assert!(off.status == 409 && off.body.contains("switched off"), "{off:?}");
        assert_eq!(ask(&world, operation, 99, &json!({})).status, 404);
    }
}

#[test]
fn a_redelivery_lets_no_later_event_overtake_the_one_that_it_repeats() {
    let world = World::new();
    let id = webhook(&world, &json!({})).0;
    let mut run = world.run_in(State::Started);
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Fresh);
    assert!(world.apply(&mut run, Event::Cancel));
    deliver(&world, &Receiver::that_answers([status(500)]), Which::Fresh);
    let body = World::finish_body(&run.token, Finish::Ended);
    assert_eq!(world.ask(&estop::operations::finish::OPERATION, run.id, &body).status, 412);
    let first = deliveries(&world, id)[0]["id"].as_i64().expect("an id");
    assert_eq!(ask(&world, &room::REDELIVER, first, &json!({})).status, 200);
    deliver(&world, &receiver, Which::Fresh);
    assert_eq!(deliveries(&world, id)[2]["state"], "waiting");
}

#[test]
fn slack_gets_a_sentence_that_is_signed_as_well() {
    let world = World::new();
    webhook(
        &world,
        &json!({"format": "slack", "events": ["run.cancelled"], "url": "https://hooks.slack.com/services/T/B/x"}),
    );
    let run = world.run_in(State::Queued);
    world.ask(&cancel::OPERATION, run.id, &json!({"reason": "wrong <branch>"}));
    let receiver = Receiver::default();
    deliver(&world, &receiver, Which::Fresh);
    let post = receiver.heard.borrow()[0].clone();
    let expected =
        format!("ada stopped <https://estop.example/runs/{0}|test run {0}> on Staging: wrong &lt;branch&gt;.", run.id);
    assert_eq!(serde_json::from_str::<Value>(&post.body).expect("JSON"), json!({"text": expected}));
    assert!(header(&post, "webhook-signature").starts_with("v1,"));
}
