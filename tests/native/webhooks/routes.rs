//! What an admin may make of webhooks.

use estop::operations::admin::{self, webhooks as room};
use estop::webhooks::{Tally, Which, address};
use estop_protocol::run::State;
use estop_protocol::webhooks::Webhooks;
use serde_json::{Value, json};

use super::{Receiver, URL, ask, deliver, is_a, shown, webhook};
use crate::world::{World, data};

#[test]
fn what_a_webhook_is_can_be_changed_and_what_is_not_given_stays() {
    let world = World::new();
    let id = webhook(&world, &json!({"environment": "staging", "branch": "main", "events": ["run.ended"]})).0;
    let before = shown(&world, id);
    let change = |body: Value| {
        let reply = ask(&world, &room::CHANGE, id, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        data(&reply)["webhook"].clone()
    };
    assert_eq!(change(json!({})), before);
    assert_eq!(change(json!({"url": null, "events": null, "format": null, "disabled": null})), before);
    let changed = change(json!({"environment": "production", "branch": null}));
    assert_eq!((&changed["environment"], &changed["branch"]), (&json!("production"), &json!(null)));
    let changed =
        change(json!({"environment": null, "url": "https://EXAMPLE.com", "events": ["run.error", "run.started"]}));
    assert_eq!((&changed["environment"], &changed["url"]), (&json!(null), &json!("https://example.com/")));
    assert_eq!(changed["events"], json!(["run.started", "run.error"]));
    let unknown = ask(&world, &room::CHANGE, id, &json!({"environment": "elsewhere", "branch": "x"}));
    assert!(unknown.status == 400 && unknown.body.contains("`environment`"), "{unknown:?}");
    assert_eq!(shown(&world, id)["branch"], json!(null), "nothing of it");
    for bad in [
        json!({"url": "ftp://example.com"}),
        json!({"events": []}),
        json!({"events": ["run.queued"]}),
        json!({"branch": ""}),
        json!({"branch": "x".repeat(51)}),
        json!({"branch": "é".repeat(26)}),
        json!({"branch": "*a*b*c*"}),
        json!({"branch": "a\nb"}),
        json!({"format": "teams"}),
        json!({"secret": "x"}),
    ] {
        assert_eq!(ask(&world, &room::CHANGE, id, &bad).status, 400, "{bad}");
    }
    for (operation, status) in
        [(&room::SHOW, 404), (&room::CHANGE, 404), (&room::DELETE, 404), (&room::ROTATE, 404), (&room::DELIVERIES, 404)]
    {
        assert_eq!(ask(&world, operation, 99, &json!({})).status, status, "{}", operation.name());
    }
    assert_eq!(ask(&world, &room::LIST, 99, &json!({})).status, 404);
    assert_eq!(ask(&world, &room::CREATE, 99, &json!({"url": URL})).status, 404);
    assert_eq!(ask(&world, &room::CREATE, 1, &json!({"url": URL, "environment": "elsewhere"})).status, 400);
}

#[test]
fn a_project_has_ten_webhooks_at_most_and_a_deleted_one_makes_room() {
    let world = World::new();
    let ids: Vec<i64> = (0..10).map(|_| webhook(&world, &json!({})).0).collect();
    let full = ask(&world, &room::CREATE, 1, &json!({"url": URL}));
    assert!(full.status == 409 && full.body.contains("10 webhooks"), "{full:?}");
    world.run_in(State::Started);
    for _ in 0..2 {
        assert_eq!(ask(&world, &room::DELETE, ids[9], &json!({})).status, 204);
    }
    let left: i64 = world
        .runtime
        .db
        .borrow()
        .query_row("SELECT count(*) FROM deliveries WHERE webhook_id = 10", [], |r| r.get(0))
        .expect("a count");
    let url: String =
        world.runtime.db.borrow().query_row("SELECT url FROM webhooks WHERE id = 10", [], |r| r.get(0)).expect("a url");
    assert_eq!((left, url.as_str()), (0, ""), "what it was is forgotten");
    assert_eq!(ask(&world, &room::SHOW, ids[9], &json!({})).status, 404);
    let next = webhook(&world, &json!({})).0;
    assert_eq!(next, 11, "an id is never used again: the secret is made of it");
    let listed = data(&ask(&world, &room::LIST, 1, &json!({})));
    is_a::<Webhooks>(&listed);
    assert_eq!(listed["webhooks"].as_array().map(Vec::len), Some(10));
    let other = ask(&world, &admin::projects::CREATE, 0, &json!({"name": "N", "slug": "n"}));
    let project = data(&other)["project"]["id"].as_i64().expect("an id");
    assert_eq!(ask(&world, &room::CREATE, project, &json!({"url": URL})).status, 200, "another project has its own");
}

#[test]
fn without_the_secret_the_routes_do_not_exist_and_nothing_is_sent() {
    let mut world = World::new();
    webhook(&world, &json!({}));
    world.run_in(State::Started);
    world.config.webhook_secret = None;
    let batches = world.runtime.batches.get();
    for operation in [
        &room::CREATE,
        &room::LIST,
        &room::SHOW,
        &room::CHANGE,
        &room::DELETE,
        &room::ROTATE,
        &room::DELIVERIES,
        &room::TEST,
        &room::REDELIVER,
    ] {
        let reply = ask(&world, operation, 1, &json!({}));
        assert_eq!((reply.status, reply.outcome), (404, "no_such_route"), "{}", operation.name());
    }
    assert_eq!(deliver(&world, &Receiver::default(), Which::Fresh), Tally::default());
    assert_eq!(world.runtime.batches.get(), batches);
}

#[test]
fn only_addresses_on_the_internet_are_taken_and_on_a_laptop_its_own() {
    let world = World::new();
    let check = |url: &str, local: bool| address::check(&world.runtime, url, local);
    for good in [
        "https://example.com",
        "HTTPS://Example.com:8443/a?b=c",
        "https://8.8.8.8/",
        "https://172.15.0.1/",
        "https://172.32.0.1/",
        "https://100.63.255.255/",
        "https://100.128.0.1/",
        "https://192.169.0.1/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::808:808]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[2002:808:808::1]/",
        "https://localhost.example.com/",
        "https://bücher.example/",
    ] {
        assert!(check(good, false).is_ok(), "{good}");
    }
    for bad in [
        "",
        "example.com",
        "//example.com",
        "http://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://",
        "https://user@example.com/",
        "https://:secret@example.com/",
        "https://example.com/#top",
        "https://example.com/#",
        " https://example.com/",
        "https://exa\tmple.com/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://vault.internal/",
        "https://vault.internal./",
        "https://nas.home.arpa/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0x7f.1/",
        "https://127.0.0.1./",
        "https://１２７.0.0.1/",
        "https://0.0.0.0/",
        "https://0/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.169.254/",
        "https://100.64.0.1/",
        "https://100.127.255.255/",
        "https://192.0.0.8/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[::7f00:1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::1]/",
        "https://[2002:7f00:1::1]/",
        "https://[fc00::1]/",
        "https://[fd12:3456::1]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
        "https://[100::1]/",
    ] {
        assert!(check(bad, false).is_err(), "{bad}");
    }
    for laptop in [
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://[::1]:9000/",
        "https://localhost/",
        "http://127.1/",
    ] {
        assert!(check(laptop, true).is_ok() && check(laptop, false).is_err(), "{laptop}");
    }
    for never in ["http://10.0.0.1/", "https://printer.local/", "ftp://localhost/", "http://169.254.169.254/"] {
        assert!(check(never, true).is_err(), "{never}");
    }
    let long = |length: usize| format!("https://example.com/{}", "x".repeat(length - 20));
    assert!(check(&long(2000), false).is_ok() && check(&long(2001), false).is_err());
    let encoded = format!("https://example.com/{}", "é".repeat(1000));
    assert!(check(&encoded, false).is_err(), "it is longer than it looks");
}
