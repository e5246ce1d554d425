//! The token that says who somebody is, and whose keys it is signed with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use estop::http::error::ApiError;
use estop::http::reply::Reply;
use estop::operations::{access, find};
use estop::runtime::Limit;
use estop_protocol::time::Timestamp;
use serde_json::json;

use super::{HOUR, MINUTE, admit, arrive, signed_in};
use crate::world::{Ask, World, assertion};

/// Tokens that are wrong, each in one way. tests/rig/access.rs has more, with real signatures.
fn wrong_tokens(now: Timestamp) -> Vec<String> {
    let good = assertion("ada@example.com", "k1", now);
    let (signed, signature) = good.rsplit_once('.').expect("a signature");
    let (header, claims) = signed.split_once('.').expect("claims");
    let other = assertion("grace@example.com", "k1", now);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#);
    vec![
        String::new(),
        "x".to_owned(),
        "x".repeat(100_000),
        format!("{signed}."),
        format!("{signed}.{}", other.rsplit('.').next().expect("a signature")),
        format!("{header}.{}.{signature}", other.split('.').nth(1).expect("claims")),
        format!("{none}.{claims}.{signature}"),
        format!("{none}.{claims}."),
        assertion("ada@example.com", "k2", now),
        assertion("ada@example.com", "k1", now.plus(-2 * HOUR)),
        assertion("ada@example.com", "k1", now.plus(2 * MINUTE)),
        assertion("", "k1", now),
        assertion("@example.com", "k1", now),
    ]
}

#[test]
fn a_wrong_token_signs_nobody_in_is_told_nothing_and_counts_against_its_address() {
    let world = World::new();
    admit(&world, 1, "ada@example.com", &["read"]);
    admit(&world, 1, "@example.com", &["read"]);
    let batches = world.runtime.batches.get();
    let told = Reply::error(&ApiError::BadAssertion(""), "request-1").body;
    let missing = Ask { assertion: None, ..Ask::new(&access::OPERATION).with_key("") };
    let tokens = wrong_tokens(world.now.get());
    let wrong = tokens.iter().map(|token| Ask::new(&access::OPERATION).with_key("").vouched(token));
    for ask in wrong.chain([missing]) {
        let before = world.runtime.counted.borrow().len();
        let reply = world.send(&ask);
        assert_eq!((reply.status, reply.outcome, &reply.body), (401, "bad_assertion", &told), "{:?}", ask.assertion);
        assert!(reply.headers.iter().all(|(name, _)| *name == "WWW-Authenticate"), "{reply:?}");
        assert!(reply.detail.is_some_and(|why| why.starts_with("the token of Cloudflare Access: ")));
        let counted = world.runtime.counted.borrow()[before..].to_vec();
        assert_eq!(counted, [(Limit::Refusals, "192.0.2.1".to_owned())]);
    }
    assert_eq!(world.runtime.batches.get(), batches, "the database is not asked");
    world.runtime.limits.set([usize::MAX, 0]);
    let knock = || world.send(&Ask::new(&access::OPERATION).with_key("").vouched("x"));
    assert_eq!([knock().status, knock().status, arrive(&world, "ada@example.com", "").status], [401, 429, 429]);
}

#[test]
fn a_person_has_a_rate() {
    let world = World::new();
    admit(&world, 1, "@example.com", &["read"]);
    world.runtime.limits.set([2, usize::MAX]);
    let statuses = || arrive(&world, "ada@example.com", "").status;
    assert_eq!([statuses(), statuses(), statuses()], [303, 303, 429]);
    assert_eq!(arrive(&world, "grace@example.com", "").status, 303);
}

#[test]
fn keys_that_cannot_be_had_are_503_and_had_as_soon_as_they_can() {
    let world = World::new();
    admit(&world, 1, "ada@example.com", &["read"]);
    let good = world.runtime.certs.borrow().clone();
    for down in [None, Some("<html>"), Some("{}")] {
        *world.runtime.certs.borrow_mut() = down.map(str::to_owned);
        let reply = arrive(&world, "ada@example.com", "");
        assert_eq!((reply.status, reply.outcome), (503, "no_team_keys"), "{reply:?}");
        assert!(reply.body.contains("keys of Cloudflare Access") && reply.detail.is_some(), "{reply:?}");
        assert_eq!(reply.headers, [("Retry-After", "10".to_owned())]);
    }
    *world.runtime.certs.borrow_mut() = good;
    signed_in(&world, "ada@example.com");
    assert_eq!(world.runtime.certs_asked.get(), 4);
    *world.runtime.certs.borrow_mut() = None;
    signed_in(&world, "ada@example.com");
    assert_eq!(world.runtime.certs_asked.get(), 4, "they are known");
    world.pass(HOUR);
    assert_eq!(arrive(&world, "ada@example.com", "").status, 503);
}

#[test]
fn a_key_that_the_team_has_made_since_is_asked_for_once_a_minute() {
    let world = World::new();
    admit(&world, 1, "ada@example.com", &["read"]);
    signed_in(&world, "ada@example.com");
    let with = |kid: &str| {
        let token = assertion("ada@example.com", kid, world.now.get());
        let status = world.send(&Ask::new(&access::OPERATION).with_key("").vouched(&token)).status;
        (status, world.runtime.certs_asked.get())
    };
    let certs = json!({"keys": [{"kid": "k2", "kty": "RSA", "n": "n2", "e": "AQAB"}]});
    *world.runtime.certs.borrow_mut() = Some(certs.to_string());
    assert_eq!([with("k2"), with("k3")], [(401, 1), (401, 1)]);
    world.pass(MINUTE);
    assert_eq!([with("k2"), with("k3"), with("k1")], [(303, 2), (401, 2), (401, 2)]);
}

#[test]
fn where_access_is_not_set_up_there_is_no_such_route() {
    let mut world = World::new();
    admit(&world, 1, "ada@example.com", &["read"]);
    let team = world.config.access.take();
    assert_eq!(arrive(&world, "ada@example.com", "").outcome, "no_such_route");
    world.config.access = team;
    world.config.session_secret = None;
    assert_eq!(arrive(&world, "ada@example.com", "").outcome, "no_such_route");
    assert_eq!(world.runtime.certs_asked.get(), 0);
}

#[test]
fn a_head_does_not_sign_in() {
    let allowed = |method| find(method, "/session/access").map(|operation| operation.name());
    assert_eq!(allowed("GET").as_deref(), Ok("GET /session/access"));
    for method in ["HEAD", "POST", "OPTIONS"] {
        assert_eq!(allowed(method), Err(ApiError::MethodNotAllowed("GET".to_owned())));
    }
}
