//! Every operation refuses every key that must not do it, and then nothing has changed.

use estop::error::ApiError;
use estop::key::{KeyHash, Scope};
use estop::run::{Finish, State};
use estop::store::list::list;
use estop::store::run as store;
use estop::wire::query::RunsQuery;
use estop::wire::requests::RegisterRequest;
use pollster::block_on;

use crate::world::{LEASE, NOW, Run, STOP_LIMIT, World};

/// Every operation on a run with a key, by name, with the scope that it needs.
type Operation = (&'static str, Scope, fn(&World, &KeyHash, &Run) -> Result<(), ApiError>);

const OPERATIONS: [Operation; 8] = [
    ("cancel", Scope::Cancel, |w, k, r| w.cancel_with(k, r.id, "own:1", None).map(drop)),
    ("claim", Scope::Run, |w, k, r| {
        block_on(store::claim(&w.host, &w.caller(k), r.id, "own:1", LEASE, None)).map(drop)
    }),
    ("heartbeat", Scope::Run, |w, k, r| {
        block_on(store::heartbeat(&w.host, &w.caller(k), r.id, &r.token, LEASE, STOP_LIMIT)).map(drop)
    }),
    ("finish", Scope::Run, |w, k, r| {
        let finished = World::finished(&r.token, Finish::Ended);
        block_on(store::finish(&w.host, &w.caller(k), r.id, "own:1", &finished)).map(drop)
    }),
    ("register", Scope::Run, |w, k, _| {
        let request: RegisterRequest = serde_json::from_str(r#"{"environment":"staging"}"#).expect("a request");
        block_on(store::register(&w.host, &w.caller(k), "own:1", &request.checked().expect("a run"))).map(drop)
    }),
    ("show", Scope::Read, |w, k, r| block_on(store::show(&w.host, &w.caller(k), r.id)).map(drop)),
    ("events", Scope::Read, |w, k, r| block_on(store::events(&w.host, &w.caller(k), r.id)).map(drop)),
    ("list", Scope::Read, |w, k, _| {
        let query = RunsQuery::parse("", NOW).expect("a query");
        block_on(list(&w.host, &w.caller(k), &query)).map(drop)
    }),
];

fn other_key(letter: char) -> String {
    format!("estop_{}", letter.to_string().repeat(43))
}

/// Tries every operation on runs in every state with `key`, and checks the answer and that nothing was written.
fn refused_everywhere(key: impl Fn(&World, Scope) -> KeyHash, expected: impl Fn(&str, Scope) -> Option<ApiError>) {
    for (name, scope, operation) in OPERATIONS {
        let Some(expected) = expected(name, scope) else { continue };
        for state in State::ALL {
            let world = World::new();
            let run = world.run_in(state);
            let key = key(&world, scope);
            world.pass(LEASE - 1);
            let (before, count) = (world.row(run.id), count(&world));
            assert_eq!(operation(&world, &key, &run), Err(expected.clone()), "{name} in {state:?}");
            assert_eq!(
                (world.row(run.id), self::count(&world)),
                (before, count),
                "{name} in {state:?} wrote something"
            );
        }
    }
}

fn count(world: &World) -> i64 {
    world.host.db.borrow().query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).expect("a count")
}

#[test]
fn a_key_that_was_never_made_does_nothing() {
    refused_everywhere(|_, _| KeyHash::of(&other_key('B')), |_, _| Some(ApiError::UnknownKey));
}

#[test]
fn an_expired_key_does_nothing_from_the_very_millisecond() {
    let key = |world: &World, _| world.add_key(&other_key('C'), 1, (1, 1, 1), Some(NOW.plus(LEASE - 1).0), None);
    refused_everywhere(key, |_, _| Some(ApiError::ExpiredKey));
}

#[test]
fn a_key_works_until_it_expires() {
    let world = World::new();
    let run = world.run_in(State::Started);
    let key = world.add_key(&other_key('C'), 1, (1, 1, 1), Some(NOW.plus(1).0), None);
    assert!(world.cancel_with(&key, run.id, "own:1", None).is_ok());
}

#[test]
fn a_revoked_key_does_nothing() {
    let key = |world: &World, _| world.add_key(&other_key('D'), 1, (1, 1, 1), None, Some(NOW.0));
    refused_everywhere(key, |_, _| Some(ApiError::RevokedKey));
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
    refused_everywhere(key, |_, scope| Some(ApiError::MissingScope(scope)));
}

#[test]
fn another_projects_key_sees_and_changes_nothing() {
    let key = |world: &World, _| world.add_key(&other_key('F'), 2, (1, 1, 1), None, None);
    refused_everywhere(key, |name, _| match name {
        "register" | "list" => None,
        _ => Some(ApiError::NotFound("test run")),
    });
}

#[test]
fn another_projects_list_and_environments_stay_its_own() {
    let world = World::new();
    world.run_in(State::Started);
    let key = world.add_key(&other_key('F'), 2, (1, 1, 1), None, None);
    for query in
        ["", "state=started", "id=1", "environment_ids=1", "environment_ids=1,2", "interval_in_days=1", "before=99"]
    {
        let query = RunsQuery::parse(query, NOW).expect("a query");
        let page = block_on(list(&world.host, &world.caller(&key), &query)).expect("a page");
        assert!(page.project.get().contains(r#""slug":"two""#) && page.items.is_empty());
        assert!(page.pagination.total.is_none_or(|total| total == 0));
    }
    let request: RegisterRequest = serde_json::from_str(r#"{"environment":"staging"}"#).expect("a request");
    let outcome =
        block_on(store::register(&world.host, &world.caller(&key), "own:1", &request.checked().expect("a run")));
    assert!(matches!(outcome, Ok(store::RegisterOutcome::UnknownEnvironment(known)) if known == ["elsewhere"]));
}
