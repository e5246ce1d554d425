//! A person's session: the cookie is as good as the key that it stands for, and no page but the service's own can use it.

use estop::http::operation::{Access, Method, Operation};
use estop::http::reply::Reply;
use estop::hub;
use estop::operations::{OPERATIONS, cancel, heartbeat, list, register, session, watch};
use estop::session::LASTS;
use estop_protocol::run::State;
use serde_json::json;

use crate::world::{ADMIN, Ask, KEY, ORIGIN, World, body_of, data};

const FOREIGN: [Option<&str>; 6] = [
    None,
    Some("https://evil.example"),
    Some("http://estop.example"),
    Some("https://estop.example:8443"),
    Some("https://x.estop.example"),
    Some("null"),
];

fn sign_in(world: &World, key: &str) -> Reply {
    world.send(&Ask::new(&session::SIGN_IN).with_key("").body(&json!({"key": key})))
}

/// What the browser sends back.
fn cookie(reply: &Reply) -> String {
    let set = reply.headers.iter().find(|(name, _)| *name == "Set-Cookie").expect("a cookie");
    set.1.split(';').next().expect("a pair").to_owned()
}

fn signed_in(world: &World) -> String {
    let reply = sign_in(world, KEY);
    assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{reply:?}");
    cookie(&reply)
}

fn keyed() -> impl Iterator<Item = &'static Operation> {
    let takes_a_key = |operation: &&Operation| {
        matches!(operation.access, Access::Key(..) | Access::LeaseOrKey(..) | Access::Session(_))
    };
    OPERATIONS.iter().filter(takes_a_key)
}

#[test]
fn the_cookie_is_as_good_as_the_key() {
    for operation in keyed() {
        let world = World::new();
        let kills = operation.pattern.ends_with("/kill");
        let run = world.run_in(if kills { State::Cancelled } else { State::Queued });
        let cookie = signed_in(&world);
        let by_cookie = Ask::new(operation).about(run.id).with_cookie(&cookie).body(&body_of(operation, &run));
        let mut reply = world.undone(|| world.send(&by_cookie));
        assert!(matches!(reply.status, 101 | 200), "{}: {reply:?}", operation.name());
        let mut by_key = world.send(&Ask { cookie: None, token: KEY, ..by_cookie });
        if operation.name() == session::SHOW.name() {
            let ends = format!(r#""expires_at":"{}""#, world.now.get().plus(LASTS));
            by_key.body = by_key.body.replace(r#""expires_at":null"#, &ends);
        }
        // The hub closes the socket when the session is over.
        if let Some(line) = &mut reply.line {
            assert_eq!(line.tags.pop(), Some(hub::ends(world.now.get().plus(LASTS))));
        }
        // A claim has a lease of its own.
        if !by_key.body.contains("\"lease\"") {
            assert_eq!(reply, by_key, "{}", operation.name());
        }
    }
}

#[test]
fn another_origins_page_neither_reads_nor_changes_nor_watches() {
    for operation in keyed() {
        for origin in FOREIGN {
            let world = World::new();
            let run = world.run_in(State::Queued);
            let cookie = signed_in(&world);
            let before = world.row(run.id);
            let batches = world.runtime.batches.get();
            let ask = Ask::new(operation).about(run.id).with_cookie(&cookie).of_page(origin);
            let reply = world.send(&ask.body(&body_of(operation, &run)));
            let what = format!("{} from {origin:?}: {reply:?}", operation.name());
            // A page reads its own origin without naming it; what another reads, the browser keeps from it.
            let reads = operation.method == Method::Get && !operation.pattern.ends_with("/watch");
            if reads && origin.is_none() {
                assert_eq!(reply.status, 200, "{what}");
                continue;
            }
            assert_eq!((reply.status, reply.outcome), (403, "foreign_origin"), "{what}");
            assert_eq!((world.row(run.id), world.runtime.batches.get()), (before, batches), "{what}");
        }
    }
}

#[test]
fn nobody_signs_in_or_out_from_another_page() {
    let world = World::new();
    for origin in FOREIGN {
        for operation in [&session::SIGN_IN, &session::SIGN_OUT] {
            let ask = Ask::new(operation).with_key("").of_page(origin).body(&json!({"key": KEY}));
            let reply = world.send(&ask);
            assert_eq!((reply.status, reply.outcome, reply.headers.len()), (403, "foreign_origin", 0), "{origin:?}");
        }
    }
    assert_eq!(world.runtime.batches.get(), 0);
}

#[test]
fn no_answer_lets_another_origin_read_it() {
    let world = World::new();
    let run = world.run_in(State::Started);
    for operation in OPERATIONS {
        let token = if matches!(operation.access, Access::Admin(_)) { ADMIN } else { KEY };
        let ask = Ask::new(operation).about(run.id).with_key(token).of_page(Some("https://evil.example"));
        let reply = world.send(&ask.body(&body_of(operation, &run)));
        assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("Access-Control")), "{reply:?}");
    }
}

#[test]
fn a_key_that_is_none_signs_nobody_in() {
    let world = World::new();
    let other = |letter: &str| format!("estop_{}", letter.repeat(43));
    world.add_key(&other("D"), 1, (1, 1, 1), None, Some(1));
    world.add_key(&other("C"), 1, (1, 1, 1), Some(world.now.get().0), None);
    for (key, outcome) in [
        (other("B"), "unknown_key"),
        (other("D"), "revoked_key"),
        (other("C"), "expired_key"),
        ("estop_short".to_owned(), "unknown_key"),
        (String::new(), "unknown_key"),
        (ADMIN.to_owned(), "unknown_key"),
        (estop::key::LOCAL_DEMO.to_owned(), "unknown_key"),
    ] {
        let reply = sign_in(&world, &key);
        assert_eq!((reply.status, reply.outcome), (401, outcome), "{key}");
        assert!(!reply.headers.iter().any(|(name, _)| *name == "Set-Cookie"), "{reply:?}");
    }
}

#[test]
fn a_session_ends_with_its_time_or_with_its_key_whichever_is_first() {
    let world = World::new();
    let run = world.run_in(State::Queued);
    let cookie = signed_in(&world);
    let ask = || world.send(&Ask::new(&list::OPERATION).with_cookie(&cookie));
    world.pass(LASTS - 1);
    assert_eq!(ask().status, 200);
    world.pass(1);
    let reply = ask();
    assert_eq!((reply.status, reply.outcome), (401, "no_session"));
    assert!(reply.headers.contains(&("WWW-Authenticate", "Bearer".to_owned())));
    let cookie = signed_in(&world);
    world.sql("UPDATE keys SET revoked_at = 1");
    for operation in [&list::OPERATION, &session::SHOW, &cancel::OPERATION, &watch::PROJECT] {
        let reply = world.send(&Ask::new(operation).about(run.id).with_cookie(&cookie));
        assert_eq!((reply.status, reply.outcome), (401, "revoked_key"), "{}", operation.name());
    }
    assert_eq!(world.row(run.id).state, "queued");
}

#[test]
fn a_forged_cookie_is_401_and_costs_the_database_nothing() {
    let world = World::new();
    let honest = signed_in(&world);
    let before = world.runtime.batches.get();
    let (content, _) = honest.rsplit_once('.').expect("a seal");
    let mut other = World::new();
    other.config.session_secret = Some("another secret".to_owned());
    for cookie in [
        "__Host-estop=".to_owned(),
        format!("__Host-estop={KEY}"),
        content.to_owned(),
        format!("{content}.{}", "0".repeat(64)),
        honest.replacen("=00.", "=01.", 1),
        signed_in(&other),
    ] {
        let reply = world.send(&Ask::new(&list::OPERATION).with_cookie(&cookie));
        assert_eq!((reply.status, reply.outcome), (401, "no_session"), "{cookie}");
    }
    assert_eq!(world.runtime.batches.get(), before);
}

#[test]
fn forged_cookies_count_against_their_address() {
    let world = World::new();
    world.runtime.limits.set([usize::MAX, 0]);
    let reply = world.send(&Ask::new(&list::OPERATION).with_cookie("__Host-estop=x"));
    assert!(reply.status == 401 && reply.detail.is_some(), "{reply:?}");
    assert_eq!(world.send(&Ask::new(&session::SIGN_IN).with_key("").body(&json!({"key": KEY}))).status, 429);
}

#[test]
fn a_key_in_the_header_outranks_the_cookie_and_a_lease_needs_neither() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let cookie = signed_in(&world);
    let bad = format!("estop_{}", "B".repeat(43));
    let reply = world.send(&Ask { token: &bad, ..Ask::new(&list::OPERATION).with_cookie(&cookie) });
    assert_eq!((reply.status, reply.outcome), (401, "unknown_key"));
    // With a key of its own a program needs no page.
    let ask = Ask { cookie: Some(&cookie), ..Ask::new(&cancel::OPERATION).about(run.id) };
    assert_eq!(world.send(&ask.of_page(None)).status, 200);
    let beat = Ask::new(&heartbeat::OPERATION).about(run.id).with_cookie("__Host-estop=x").of_page(None);
    assert_eq!(world.send(&beat.body(&json!({"lease": run.token}))).status, 200);
    let line = Ask::new(&watch::RUN).about(run.id).with_cookie("__Host-estop=x").with_lease(&run.token).of_page(None);
    assert_eq!(world.send(&line).status, 101);
}

#[test]
fn the_cookie_opens_no_admin_route() {
    let world = World::new();
    let cookie = signed_in(&world);
    for operation in OPERATIONS.iter().filter(|operation| matches!(operation.access, Access::Admin(_))) {
        assert_eq!(world.send(&Ask::new(operation).about(1).with_cookie(&cookie)).status, 401, "{}", operation.name());
    }
}

#[test]
fn a_session_says_who_is_signed_in_and_may_what() {
    let world = World::new();
    let narrow = world.add_key(&format!("estop_{}", "E".repeat(43)), 2, (0, 1, 0), None, None);
    let cookie = cookie(&sign_in(&world, &narrow));
    let reply = world.send(&Ask::new(&session::SHOW).with_cookie(&cookie).of_page(None));
    let ends = world.now.get().plus(LASTS);
    let session = json!({"user": "ada", "name": "test", "scopes": ["cancel"], "expires_at": ends});
    let project = json!({"id": 2, "name": "Two", "slug": "two", "repo_name": null});
    assert_eq!(data(&reply), json!({"session": session, "project": project, "stop_grace_seconds": 10}));
    // What it may not, it may not by the cookie either.
    let reply = world.send(&Ask::new(&list::OPERATION).with_cookie(&cookie));
    assert_eq!((reply.status, reply.outcome), (403, "missing_scope"));
    assert_eq!(world.send(&Ask::new(&session::SHOW).with_key("")).status, 401);
}

#[test]
fn who_acts_with_the_cookie_is_named_in_the_record() {
    let world = World::new();
    let cookie = signed_in(&world);
    let body = json!({"environment": "staging"});
    let reply = world.send(&Ask::new(&register::OPERATION).with_cookie(&cookie).body(&body));
    let id = data(&reply)["test_run"]["id"].as_i64().expect("an id");
    assert_eq!(world.send(&Ask::new(&cancel::OPERATION).about(id).with_cookie(&cookie)).status, 200);
    assert_eq!(world.row(id).cancel_by.as_deref(), Some("ada"));
}

#[test]
fn signing_out_clears_the_cookie() {
    let world = World::new();
    let reply = world.send(&Ask::new(&session::SIGN_OUT).with_key(""));
    assert_eq!((reply.status, cookie(&reply).as_str()), (204, "__Host-estop="));
    assert!(reply.headers[0].1.ends_with("Max-Age=0"), "{reply:?}");
}

#[test]
fn without_its_secret_there_are_no_sessions() {
    let mut world = World::new();
    let cookie = signed_in(&world);
    world.config.session_secret = None;
    for operation in [&session::SIGN_IN, &session::SHOW, &session::SIGN_OUT] {
        for token in ["", KEY] {
            let reply = world.send(&Ask::new(operation).with_key(token).body(&json!({"key": KEY})));
            assert_eq!((reply.status, reply.outcome), (404, "no_such_route"), "{}", operation.name());
        }
    }
    let reply = world.send(&Ask::new(&list::OPERATION).with_cookie(&cookie));
    assert_eq!((reply.status, reply.outcome), (401, "no_key"));
    assert_eq!(world.send(&Ask::new(&list::OPERATION).of_page(Some(ORIGIN))).status, 200);
}
