//! Badges: what they show, and that nobody learns a name from them.

use estop::http::reply::Reply;
use estop::operations::{admin, badge};
use estop::run::Event;
use estop_protocol::run::{Finish, State};
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, Run, World};

fn ask<'a>(project: &'a str, environment: &'a str) -> Ask<'a> {
    Ask { slugs: (project, environment), ..Ask::new(&badge::OPERATION).with_key("") }
}

fn turn_on(world: &World) {
    let reply = world.send(&Ask::new(&admin::projects::CHANGE).about(1).with_key(ADMIN).body(&json!({"badges": true})));
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    &reply.headers.iter().find(|(header, _)| *header == name).unwrap_or_else(|| panic!("no {name}: {reply:?}")).1
}

/// What a badge says.
fn message(world: &World, query: &str) -> String {
    let reply = world.send(&ask("one", "staging.json").query(query));
    assert_eq!((reply.status, header(&reply, "Content-Type")), (200, "application/json"), "{reply:?}");
    let shield: Value = serde_json::from_str(&reply.body).expect("JSON");
    shield["message"].as_str().expect("a message").to_owned()
}

#[test]
fn a_badge_shows_how_the_newest_run_did_that_has_ended() {
    let world = World::new();
    turn_on(&world);
    assert_eq!(message(&world, ""), "unknown");
    world.run_in(State::Ended);
    assert_eq!(message(&world, ""), "passing");
    let body = json!({"environment": "staging", "branch": "main"});
    let mut failing = Run { id: world.register(&body), token: String::new() };
    assert!(world.apply(&mut failing, Event::Claim));
    assert_eq!(message(&world, ""), "passing", "a run that is not over says nothing");
    let result = json!({"lease": failing.token, "state": "ended", "result": "failed"});
    assert_eq!(world.ask(&estop::operations::finish::OPERATION, failing.id, &result).status, 200);
    assert_eq!(message(&world, ""), "failing");
    world.run_in(State::Cancelled);
    assert_eq!(message(&world, ""), "failing", "neither does one that was cancelled");
    world.run_in(State::Error);
    assert_eq!(message(&world, ""), "error");
    assert_eq!((message(&world, "branch=main"), message(&world, "branch=other")), ("failing".into(), "unknown".into()));
    let mut passing = Run { id: world.register(&body), token: String::new() };
    world.apply(&mut passing, Event::Claim);
    world.apply(&mut passing, Event::Finish(Finish::Ended));
    assert_eq!(message(&world, "branch=main"), "passing");
    let other = world.send(&ask("one", "production.json"));
    assert!(other.body.contains("unknown"), "each environment has its own: {other:?}");
}

#[test]
fn nobody_learns_from_a_badge_what_there_is() {
    let world = World::new();
    world.run_in(State::Ended);
    for suffix in ["", ".json"] {
        let names = |name: &str| format!("{name}{suffix}");
        let [staging, nowhere, odd] = ["staging", "nowhere", "%00'"].map(names);
        let shown = world.send(&ask("one", &staging));
        assert!(shown.status == 200 && shown.body.contains("unknown"), "turned off: {shown:?}");
        for (project, environment) in [("one", &nowhere), ("three", &staging), ("", &odd), ("one%2f", &staging)] {
            assert_eq!(world.send(&ask(project, environment)), shown, "{project}/{environment}");
        }
    }
    turn_on(&world);
    let shown = world.send(&ask("one", "staging"));
    assert!(shown.body.contains("passing"), "{shown:?}");
    assert!(world.send(&ask("two", "elsewhere")).body.contains("unknown"), "another project's are its own");
}

#[test]
fn a_badge_is_an_image_that_may_be_kept_a_minute() {
    let world = World::new();
    turn_on(&world);
    let reply = world.send(&ask("one", "staging").query("label=e2e%20%3Cb%3E"));
    assert_eq!((reply.status, header(&reply, "Content-Type")), (200, "image/svg+xml"));
    assert_eq!(header(&reply, "Cache-Control"), "public, max-age=60");
    assert_eq!(header(&reply, "X-Content-Type-Options"), "nosniff");
    assert!(reply.body.starts_with("<svg ") && reply.body.contains("e2e &lt;b&gt;: unknown"), "{reply:?}");
    let tag = header(&reply, "ETag").to_owned();
    for given in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let ask = ask("one", "staging").query("label=e2e%20%3Cb%3E");
        let again = world.send(&Ask { if_none_match: Some(&given), ..ask });
        assert_eq!((again.status, again.body.as_str(), header(&again, "ETag")), (304, "", tag.as_str()));
    }
    world.run_in(State::Ended);
    let ask = ask("one", "staging").query("label=e2e%20%3Cb%3E");
    assert_eq!(world.send(&Ask { if_none_match: Some(&tag), ..ask }).status, 200, "it has changed");
}

#[test]
fn a_badge_counts_against_its_address_and_takes_no_odd_label() {
    let world = World::new();
    for query in ["label=", "label=%00", "colour=red"] {
        assert_eq!(world.send(&ask("one", "staging").query(query)).status, 400, "{query}");
    }
    let long = format!("label={}", "x".repeat(41));
    assert_eq!(world.send(&ask("one", "staging").query(&long)).status, 400);
    assert_eq!(world.runtime.counted.borrow().len(), 0);
    world.send(&ask("one", "staging"));
    assert_eq!(world.runtime.counted.borrow().len(), 1);
}
