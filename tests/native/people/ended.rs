//! How it ends, and that what has ended stays so.

use estop::operations::list;
use serde_json::json;

use super::{HOUR, admit, arrive, cookie, events, is_not_let_in, keys, revoke, send_admit, signed_in, who};
use crate::world::{Ask, World, data};

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
