//! Every keyed operation refuses every key that must not do it, and then nothing has changed.

use estop::http::operation::{Access, Operation};
use estop::http::reply::Reply;
use estop::key::Scope;
use estop::operations::{OPERATIONS, admin, bulk_cancel, cancel, environments, list, register, session};
use estop_protocol::run::State;
use serde_json::{Value, json};

use crate::world::{ADMIN, Ask, KEY, LEASE, NOW, World, body_of, data};

fn other_key(letter: char) -> String {
    format!("estop_{}", letter.to_string().repeat(43))
}

fn keyed() -> impl Iterator<Item = (&'static Operation, Scope)> {
    OPERATIONS.iter().filter_map(|operation| match operation.access {
        Access::Key(scope, _) | Access::LeaseOrKey(_, scope, _) => Some((operation, scope)),
        _ => None,
    })
}

/// Tries every keyed operation on runs in every state with `key`, and checks the answer and that nothing was written.
fn refused_everywhere(
    key: impl Fn(&World, Scope) -> String,
    refusal: impl Fn(&Operation, Scope, &Reply) -> Option<(u16, &'static str)>,
) {
    for (operation, scope) in keyed() {
        for state in State::ALL.iter().copied() {
            let world = World::new();
            let run = world.run_in(state);
            let key = key(&world, scope);
            world.pass(LEASE - 1);
            let before = (world.row(run.id), rows(&world, "runs"));
            let reply = world.send(&Ask::new(operation).about(run.id).with_key(&key).body(&body_of(operation, &run)));
            let what = format!("{} in {state:?}: {reply:?}", operation.name());
            if let Some(expected) = refusal(operation, scope, &reply) {
                assert_eq!((reply.status, reply.outcome), expected, "{what}");
                assert_eq!(rows(&world, "bulk_cancels"), 0, "wrote something: {what}");
            }
            assert_eq!((world.row(run.id), rows(&world, "runs")), before, "wrote something: {what}");
        }
    }
}

fn rows(world: &World, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    world.runtime.db.borrow().query_row(&count, [], |row| row.get(0)).expect("a count")
}

#[test]
fn a_key_that_was_never_made_does_nothing() {
    refused_everywhere(|_, _| other_key('B'), |_, _, _| Some((401, "unknown_key")));
}

#[test]
fn an_expired_key_does_nothing_from_the_very_millisecond() {
    let key = |world: &World, _| world.add_key(&other_key('C'), 1, (1, 1, 1), Some(NOW.plus(LEASE - 1).0), None);
    refused_everywhere(key, |_, _, _| Some((401, "expired_key")));
}

#[test]
fn a_key_works_until_it_expires() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let key = world.add_key(&other_key('C'), 1, (1, 1, 1), Some(NOW.plus(1).0), None);
    assert_eq!(world.send(&Ask::new(&cancel::OPERATION).about(run.id).with_key(&key)).status, 200);
}

#[test]
fn a_revoked_key_does_nothing() {
    let key = |world: &World, _| world.add_key(&other_key('D'), 1, (1, 1, 1), None, Some(NOW.0));
    refused_everywhere(key, |_, _, _| Some((401, "revoked_key")));
}

#[test]
fn a_key_without_the_scope_does_nothing() {
    let key = |world: &World, scope| {
        let may = match scope {
            Scope::Read => (0, 1, 1),
            Scope::Cancel => (1, 0, 1),
            Scope::Run => (1, 1, 0),
        };
        world.add_key(&other_key('E'), 1, may, None, None)
    };
    refused_everywhere(key, |_, scope, reply| {
        assert!(reply.body.contains(&format!("`{}`", scope.name())), "{reply:?}");
        Some((403, "missing_scope"))
    });
}

#[test]
fn another_projects_key_sees_and_changes_nothing() {
    let key = |world: &World, _| world.add_key(&other_key('F'), 2, (1, 1, 1), None, None);
    refused_everywhere(key, |operation, _, reply| {
        if operation.pattern.contains(":id") {
            return Some((404, "not_found"));
        }
        // These are about no run of another project, or say so; the tests below look closer.
        assert!(matches!(reply.status, 101 | 200 | 400), "{reply:?}");
        None
    });
}

#[test]
fn another_projects_runs_and_environments_stay_its_own() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let key = world.add_key(&other_key('F'), 2, (1, 1, 1), None, None);
    for query in
        ["", "state=started", "id=1", "environment_ids=1", "environment_ids=1,2", "interval_in_days=1", "before=99"]
    {
        let reply = world.send(&Ask::new(&list::OPERATION).with_key(&key).query(query));
        let json: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(
            (&json["data"]["project"]["slug"], &json["data"]["test_runs"]["items"]),
            (&json!("two"), &json!([]))
        );
        assert!(json["pagination"]["total"].as_i64().is_none_or(|total| total == 0));
    }
    let reply = world.send(&Ask::new(&environments::OPERATION).with_key(&key));
    assert_eq!(
        data(&reply)["environments"],
        json!([{"id": 3, "name": "Elsewhere", "slug": "elsewhere", "disabled": false}])
    );
    let reply = world.send(&Ask::new(&register::OPERATION).with_key(&key).body(&json!({"environment": "staging"})));
    assert!(reply.status == 400 && reply.body.contains("known are elsewhere"), "{reply:?}");
    for dry_run in [true, false] {
        let body = json!({"ids": [run.id], "dry_run": dry_run});
        let reply = world.send(&Ask::new(&bulk_cancel::OPERATION).with_key(&key).body(&body));
        assert_eq!(data(&reply)["not_found"], json!([run.id]));
    }
}

fn last_use(world: &World) -> Value {
    let reply = world.send(&Ask::new(&admin::keys::LIST).with_key(ADMIN));
    data(&reply)["keys"].as_array().and_then(|keys| keys.last()).expect("the key")["last_used_on"].clone()
}

#[test]
fn the_day_on_which_a_key_was_last_used_is_noted_without_a_round_trip_more() {
    const DAY: i64 = 24 * 3600 * 1000;
    let world = World::new();
    assert_eq!(last_use(&world), Value::Null);
    let list = || world.send(&Ask::new(&list::OPERATION)).status;
    let batches = world.runtime.batches.get();
    assert_eq!(list(), 200);
    assert_eq!(world.runtime.batches.get() - batches, 1);
    let today = NOW.to_string();
    assert_eq!(last_use(&world), today[..10]);
    world.pass(DAY);
    assert_eq!(last_use(&world), today[..10], "the admin token is not the key");
    // Whatever is asked for, and however it is answered, if only the key is good.
    assert_eq!(world.ask(&cancel::OPERATION, 999, &json!({})).status, 404);
    assert_eq!(last_use(&world), NOW.plus(DAY).to_string()[..10]);
    // A session stands for its key.
    world.pass(DAY);
    let body = json!({"key": KEY});
    let signed_in = world.send(&Ask { token: "", ..Ask::new(&session::SIGN_IN) }.body(&body));
    let cookie = signed_in.headers.iter().find(|(name, _)| *name == "Set-Cookie").expect("a cookie").1.clone();
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    assert_eq!(world.send(&Ask::new(&session::SHOW).with_cookie(&cookie)).status, 200);
    assert_eq!(last_use(&world), NOW.plus(2 * DAY).to_string()[..10]);
}

#[test]
fn a_key_that_is_refused_is_not_used() {
    let world = World::new();
    world.sql("UPDATE keys SET revoked_at = 1");
    assert_eq!(world.send(&Ask::new(&list::OPERATION)).status, 401);
    assert_eq!(last_use(&world), Value::Null);
}
