//! Whom a project lets in.

use estop::http::reply::Reply;
use estop::operations::admin;
use estop::runtime::DbError;
use serde_json::{Value, json};

use super::{admit, arrive, cookie, is_not_let_in, keys, revoke, send_admit, signed_in, who};
use crate::world::{ADMIN, Ask, Fault, World, data};

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
