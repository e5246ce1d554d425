//! People who sign in with the company's account: whom a project lets in, as whom they act, and how that ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use estop::http::error::ApiError;
use estop::http::reply::Reply;
use estop::operations::{access, admin, cancel, find, list, session};
use estop::runtime::{DbError, Limit};
use estop::session::LASTS;
use estop_protocol::run::State;
use estop_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, Fault, World, assertion, data};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn send_admit(world: &World, body: &Value) -> Reply {
    world.send(&Ask::new(&admin::people::ADMIT).with_key(ADMIN).body(body))
}

/// Lets somebody into a project; gives the key.
fn admit(world: &World, project: i64, address: &str, scopes: &[&str]) -> Value {
    let reply = send_admit(world, &json!({"project_id": project, "address": address, "scopes": scopes}));
    assert_eq!((reply.status, reply.outcome), (200, "admitted"), "{reply:?}");
    data(&reply)["key"].clone()
}

fn revoke(world: &World, id: &Value) {
    let id = id.as_i64().expect("an id");
    assert_eq!(world.send(&Ask::new(&admin::keys::REVOKE).about(id).with_key(ADMIN)).status, 200);
}

/// What comes of it when Access sends somebody here.
fn arrive(world: &World, email: &str, query: &str) -> Reply {
    let token = assertion(email, "k1", world.now.get());
    world.send(&Ask::new(&access::OPERATION).with_key("").of_page(None).vouched(&token).query(query))
}

/// What the browser sends back once somebody is signed in.
fn cookie(reply: &Reply) -> String {
    let header = |wanted: &str| reply.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    assert_eq!((reply.status, reply.outcome, reply.body.as_str()), (303, "signed_in", ""), "{reply:?}");
    assert_eq!(header("Location").as_deref(), Some("/"));
    let set = header("Set-Cookie").expect("a cookie");
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    pair.to_owned()
}

fn signed_in(world: &World, email: &str) -> String {
    cookie(&arrive(world, email, ""))
}

fn is_not_let_in(world: &World, email: &str, query: &str) {
    let changes = world.runtime.db.borrow().total_changes();
    let reply = arrive(world, email, query);
    assert_eq!((reply.status, reply.outcome, reply.headers.len()), (403, "not_admitted", 0), "{email}: {reply:?}");
    assert!(reply.body.contains(&email.to_ascii_lowercase()), "{reply:?}");
    assert_eq!(world.runtime.db.borrow().total_changes(), changes, "nothing was written");
}

/// Who somebody is here, by their cookie; or the outcome of their request.
fn who(world: &World, cookie: &str) -> Result<Value, &'static str> {
    let reply = world.send(&Ask::new(&session::SHOW).with_cookie(cookie).of_page(None));
    if reply.status == 200 { Ok(data(&reply)) } else { Err(reply.outcome) }
}

fn keys(world: &World) -> Vec<Value> {
    let reply = world.send(&Ask::new(&admin::keys::LIST).with_key(ADMIN));
    data(&reply)["keys"].as_array().expect("keys").iter().filter(|key| !key["access"].is_null()).cloned().collect()
}

fn events(world: &World) -> Vec<String> {
    let reply = world.send(&Ask::new(&admin::events::LIST).with_key(ADMIN));
    let events = data(&reply)["events"].clone();
    let said = |event: &Value| {
        format!("{} {}", event["what"].as_str().expect("a word"), event["subject"].as_str().expect("whom"))
    };
    events.as_array().expect("events").iter().map(said).take_while(|said| said != "key_created ada").collect()
}

#[test]
fn the_record_says_who_it_was_be_they_let_in_by_their_address_or_their_domain() {
    let world = World::new();
    let ada = admit(&world, 1, "Ada@Example.com", &["cancel", "read"]);
    assert_eq!(
        (&ada["user"], &ada["access"], &ada["granted_by"]),
        (&json!("ada@example.com"), &ada["user"], &Value::Null)
    );
    let domain = admit(&world, 1, "@other.example", &["read", "cancel"]);
    for (email, user) in [("ada@example.com", "ada@example.com"), ("Grace@Other.Example", "grace@other.example")] {
        let run = world.run_in(State::Started);
        let cookie = signed_in(&world, email);
        assert_eq!(world.send(&Ask::new(&cancel::OPERATION).about(run.id).with_cookie(&cookie)).status, 200);
        assert_eq!(world.row(run.id).cancel_by.as_deref(), Some(user));
        let shown = who(&world, &cookie).expect("a session");
        assert_eq!((&shown["session"]["user"], &shown["project"]["id"]), (&json!(user), &json!(1)));
        assert_eq!(shown["session"]["expires_at"], json!(world.now.get().plus(LASTS)));
        assert_eq!(shown["session"]["scopes"], json!(["read", "cancel"]));
    }
    let keys = keys(&world);
    let of = |key: &Value| (key["user"].clone(), key["access"].clone(), key["granted_by"].clone());
    let grace = json!("grace@other.example");
    assert_eq!(of(&keys[0]), (grace.clone(), grace, domain["id"].clone()));
    assert_eq!((&keys[1], &keys[2]["id"]), (&domain, &ada["id"]));
    assert_eq!(
        events(&world),
        ["person_admitted @other.example", "person_admitted ada@example.com"],
        "a sign-in is no event"
    );
}

#[test]
fn signing_in_again_writes_nothing() {
    let world = World::new();
    admit(&world, 1, "@example.com", &["read"]);
    let first = signed_in(&world, "grace@example.com");
    let changes = world.runtime.db.borrow().total_changes();
    world.pass(1);
    let second = signed_in(&world, "grace@example.com");
    assert_eq!(world.runtime.db.borrow().total_changes(), changes);
    assert_ne!(first, second);
    // One session's end is not the other's.
    world.pass(LASTS - 1);
    assert_eq!(who(&world, &first), Err("no_session"));
    assert!(who(&world, &second).is_ok());
}

#[test]
fn a_domain_lets_in_its_own_people_and_nobody_else() {
    let world = World::new();
    admit(&world, 1, "@example.com", &["read"]);
    admit(&world, 1, "ada@other.example", &["read"]);
    for stranger in [
        "eve@example.com.evil.example",
        "eve@sub.example.com",
        "eve@xexample.com",
        "eve@other.example",
        "ad@other.example",
        "ada@other.example.com",
    ] {
        is_not_let_in(&world, stranger, "");
    }
    is_not_let_in(&world, "grace@example.com", "project=2");
    is_not_let_in(&world, "grace@example.com", "project=9007199254740991");
    let reply = arrive(&world, "grace@example.com", "project=0");
    assert_eq!((reply.status, reply.headers.len()), (400, 0), "{reply:?}");
    cookie(&arrive(&world, "grace@example.com", "project=1&utm_source=chat"));
}

#[test]
fn a_person_comes_into_the_project_that_they_ask_for_or_the_first_that_lets_them_in() {
    let world = World::new();
    let project = |reply: &Reply| who(&world, &cookie(reply)).expect("a session")["project"]["id"].clone();
    admit(&world, 2, "ada@example.com", &["read"]);
    assert_eq!(project(&arrive(&world, "ada@example.com", "")), 2);
    admit(&world, 1, "@example.com", &["read"]);
    assert_eq!(project(&arrive(&world, "ada@example.com", "project=2")), 2);
    assert_eq!(keys(&world).len(), 2, "nothing is made where it is not needed");
    assert_eq!(project(&arrive(&world, "ada@example.com", "")), 1, "the domain's comes first now");
    assert_eq!(keys(&world).len(), 3);
    assert_eq!(project(&arrive(&world, "ada@example.com", "project=2")), 2);
    admit(&world, 2, "@example.com", &["read"]);
    for (query, expected) in [("", 1), ("project=1", 1), ("project=2", 2)] {
        assert_eq!(project(&arrive(&world, "ada@example.com", query)), expected);
    }
    assert_eq!(keys(&world).len(), 4, "her own row in 2 says the word there");
}

#[test]
fn what_is_said_of_a_person_outranks_what_is_said_of_the_domain() {
    let world = World::new();
    admit(&world, 1, "@example.com", &["read", "cancel", "run"]);
    let by_domain = signed_in(&world, "ada@example.com");
    let ada = admit(&world, 1, "ada@example.com", &["read"]);
    assert_eq!(who(&world, &by_domain), Err("revoked_key"), "what the domain let her do ends");
    let own = signed_in(&world, "ada@example.com");
    assert_eq!(who(&world, &own).expect("a session")["session"]["scopes"], json!(["read"]));
    revoke(&world, &ada["id"]);
    assert_eq!(who(&world, &own), Err("revoked_key"), "from the next request on");
    is_not_let_in(&world, "ada@example.com", "");
    is_not_let_in(&world, "ada@example.com", "project=1");
    admit(&world, 1, "@example.com", &["read"]);
    is_not_let_in(&world, "ada@example.com", "");
    signed_in(&world, "grace@example.com");
}

#[test]
fn whoever_is_let_in_again_signs_in_again_and_no_session_of_before_comes_back() {
    let world = World::new();
    let ada = admit(&world, 1, "ada@example.com", &["read"]);
    let before = signed_in(&world, "ada@example.com");
    revoke(&world, &ada["id"]);
    is_not_let_in(&world, "ada@example.com", "");
    let again = admit(&world, 1, "ada@example.com", &["read"]);
    assert_ne!(again["id"], ada["id"]);
    assert_eq!(who(&world, &before), Err("revoked_key"));
    let after = signed_in(&world, "ada@example.com");
    assert!(who(&world, &after).is_ok());
    // The same while she is in: what she may changes at once.
    admit(&world, 1, "ada@example.com", &["cancel"]);
    assert_eq!((who(&world, &before), who(&world, &after)), (Err("revoked_key"), Err("revoked_key")));
    let own = signed_in(&world, "ada@example.com");
    assert_eq!(world.send(&Ask::new(&list::OPERATION).with_cookie(&own)).outcome, "missing_scope");
    let said = ["person_admitted", "key_revoked", "person_admitted", "key_revoked", "person_admitted"];
    assert_eq!(events(&world), said.map(|what| format!("{what} ada@example.com")));
    let open = keys(&world).iter().filter(|key| key["revoked_at"].is_null()).count();
    assert_eq!((open, keys(&world).len()), (1, 3));
}

#[test]
fn a_domain_that_is_revoked_takes_its_people_with_it_and_nobody_else() {
    let world = World::new();
    let domain = admit(&world, 1, "@example.com", &["read"]);
    admit(&world, 2, "@example.com", &["read"]);
    admit(&world, 1, "ada@example.com", &["read"]);
    let by = |email: &str, query: &str| cookie(&arrive(&world, email, query));
    let (ada, grace) = (by("ada@example.com", "project=1"), by("grace@example.com", "project=1"));
    let elsewhere = by("grace@example.com", "project=2");
    world.pass(1);
    revoke(&world, &domain["id"]);
    assert_eq!(who(&world, &grace), Err("revoked_key"));
    assert!(who(&world, &ada).is_ok() && who(&world, &elsewhere).is_ok());
    is_not_let_in(&world, "grace@example.com", "project=1");
    assert_eq!(events(&world)[0], "key_revoked @example.com", "one event, however many people");
    assert_eq!(events(&world).len(), 4);
    world.pass(1);
    admit(&world, 1, "@example.com", &["read"]);
    assert_eq!(who(&world, &grace), Err("revoked_key"), "an old session stays over");
    assert!(who(&world, &by("grace@example.com", "project=1")).is_ok());
}

#[test]
fn whoever_is_revoked_alone_stays_out_whatever_becomes_of_the_domain() {
    let world = World::new();
    let domain = admit(&world, 1, "@example.com", &["read"]);
    let grace = signed_in(&world, "grace@example.com");
    revoke(&world, &keys(&world)[0]["id"]);
    assert_eq!(events(&world)[0], "key_revoked grace@example.com");
    assert_eq!(who(&world, &grace), Err("revoked_key"));
    is_not_let_in(&world, "grace@example.com", "");
    world.pass(1);
    admit(&world, 1, "@example.com", &["read"]);
    is_not_let_in(&world, "grace@example.com", "");
    revoke(&world, &domain["id"]);
    world.pass(1);
    admit(&world, 1, "@example.com", &["read"]);
    is_not_let_in(&world, "grace@example.com", "");
    admit(&world, 1, "grace@example.com", &["read"]);
    signed_in(&world, "grace@example.com");
}

#[test]
fn what_lets_somebody_in_can_have_an_end() {
    let world = World::new();
    let end = world.now.get().plus(HOUR);
    for address in ["ada@example.com", "@other.example"] {
        let body = json!({"project_id": 1, "address": address, "scopes": ["read"], "expires_at": end});
        assert_eq!(data(&send_admit(&world, &body))["key"]["expires_at"], json!(end));
    }
    let cookies = ["ada@example.com", "grace@other.example"].map(|email| signed_in(&world, email));
    assert_eq!(keys(&world)[0]["expires_at"], json!(end), "the domain's is that of its people");
    world.pass(HOUR);
    for cookie in &cookies {
        assert_eq!(who(&world, cookie), Err("expired_key"));
    }
    is_not_let_in(&world, "ada@example.com", "");
    is_not_let_in(&world, "grace@other.example", "");
    // Her own end is the last word on her, and that of the domain is not: it was let in again.
    admit(&world, 1, "@example.com", &["read"]);
    is_not_let_in(&world, "ada@example.com", "");
    admit(&world, 1, "@other.example", &["read"]);
    signed_in(&world, "grace@other.example");
}

#[test]
fn a_lost_answer_makes_nobody_twice() {
    for (address, rows) in [("ada@example.com", 1), ("@example.com", 2)] {
        let world = World::new();
        admit(&world, 1, address, &["read"]);
        let lost = || Fault::AfterCommit(DbError::Transient);
        world.runtime.faults.borrow_mut().extend([lost(), lost()]);
        let cookie = signed_in(&world, "ada@example.com");
        assert_eq!(keys(&world).len(), rows);
        assert!(who(&world, &cookie).is_ok());
        world.runtime.faults.borrow_mut().push_back(lost());
        let again = admit(&world, 1, address, &["read"]);
        assert_eq!((keys(&world).len(), &keys(&world)[0]), (rows + 1, &again));
        assert_eq!(who(&world, &cookie), Err("revoked_key"));
    }
}

#[test]
fn a_repeat_with_its_idempotency_key_lets_nobody_in_again() {
    let world = World::new();
    let body = json!({"project_id": 1, "address": "ada@example.com", "scopes": ["read"]});
    let ask = || world.send(&Ask::new(&admin::people::ADMIT).with_key(ADMIN).idempotent("k").body(&body));
    let key = data(&ask())["key"].clone();
    let cookie = signed_in(&world, "ada@example.com");
    assert_eq!(data(&ask())["key"], key);
    assert!(who(&world, &cookie).is_ok(), "a repeat is no change");
    revoke(&world, &key["id"]);
    assert!(data(&ask())["key"]["revoked_at"].is_string());
    is_not_let_in(&world, "ada@example.com", "");
    // Nor is what made a key.
    let key = json!({"project_id": 1, "user": "u", "name": "n", "scopes": ["read"]});
    let reused = world.send(&Ask::new(&admin::keys::CREATE).with_key(ADMIN).idempotent("k").body(&key));
    assert_eq!(reused.status, 422, "{reused:?}");
}

#[test]
fn whom_to_let_in_is_checked() {
    let world = World::new();
    let with = |name: &str, value: Value| {
        let mut body = json!({"project_id": 1, "address": "ada@example.com", "scopes": ["read"]});
        body[name] = value;
        body
    };
    let now = world.now.get();
    for (name, value) in [
        ("address", json!("ada")),
        ("address", json!("@com")),
        ("address", json!(" ada@example.com")),
        ("address", json!("system:sweeper@example.com")),
        ("address", json!("\u{430}da@example.com")),
        ("address", json!(7)),
        ("address", Value::Null),
        ("scopes", json!([])),
        ("scopes", json!(["admin"])),
        ("project_id", json!(0)),
        ("expires_at", json!(now)),
        ("expires_at", json!("soon")),
        ("name", json!("x")),
    ] {
        let reply = send_admit(&world, &with(name, value.clone()));
        assert!(reply.status == 400 && reply.body.contains(name), "{name} {value}: {reply:?}");
    }
    assert_eq!(send_admit(&world, &with("project_id", json!(3))).status, 404);
    assert!(keys(&world).is_empty());
}

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

#[test]
fn the_schema_lets_no_statement_make_somebody_else_of_a_person() {
    let world = World::new();
    let domain = admit(&world, 1, "@example.com", &["read"])["id"].clone();
    let gone = admit(&world, 1, "@gone.example", &["read"])["id"].clone();
    revoke(&world, &gone);
    let person = admit(&world, 1, "ada@example.com", &["read"])["id"].clone();
    let row = |project: i64, user: &str, may: &str, access: &str, by: &Value| {
        format!(
            "INTO keys (project_id, user, name, hash, can_read, can_cancel, can_run, created_at, access, granted_by) \
             VALUES ({project}, '{user}', 'n', printf('%064x', abs(random())), {may}, {}, {access}, {by})",
            world.now.get().0
        )
    };
    let grace = "'grace@example.com'";
    for (what, statement) in [
        ("more than the domain may", row(1, "grace@example.com", "1, 1, 0", grace, &domain)),
        ("another project's domain", row(2, "grace@example.com", "1, 0, 0", grace, &domain)),
        ("another domain", row(1, "eve@x.example", "1, 0, 0", "'eve@x.example'", &domain)),
        ("a domain by itself", row(1, "@gone.example", "1, 0, 0", "'@gone.example'", &gone)),
        ("a revoked domain", row(1, "eve@gone.example", "1, 0, 0", "'eve@gone.example'", &gone)),
        ("a person", row(1, "grace@example.com", "1, 0, 0", grace, &person)),
        ("nobody", row(1, "grace@example.com", "1, 0, 0", grace, &json!(99))),
        ("another name", row(1, "ci", "1, 0, 0", grace, &Value::Null)),
        ("no address", row(1, "ci", "1, 0, 0", "NULL", &domain)),
        ("twice", row(1, "ada@example.com", "1, 0, 0", "'ada@example.com'", &Value::Null)),
        ("twice by the domain", row(1, "ada@example.com", "1, 0, 0", "'ada@example.com'", &domain)),
    ] {
        for or in ["", "OR REPLACE "] {
            let db = world.runtime.db.borrow();
            assert!(db.execute(&format!("INSERT {or}{statement}"), []).is_err(), "{what}: {statement}");
        }
    }
    for column in ["access = 'eve@example.com'", "access = NULL", "granted_by = NULL"] {
        let change = format!("UPDATE keys SET {column} WHERE id = {person}");
        assert!(world.runtime.db.borrow().execute(&change, []).is_err(), "{change}");
    }
    world.sql(&format!("INSERT {}", row(1, "grace@example.com", "1, 0, 0", grace, &domain)));
}
