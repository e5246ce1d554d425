//! As whom somebody acts who is let in.

use estop::operations::cancel;
use estop::session::LASTS;
use estop_protocol::run::State;
use serde_json::{Value, json};

use super::{admit, events, keys, signed_in, who};
use crate::world::{Ask, World};

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
