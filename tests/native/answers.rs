//! The answers that the database writes itself are what their types say, to the last null.

use estop::operations::{events, show};
use estop_protocol::events::Events;
use estop_protocol::run::State;
use estop_protocol::show::Shown;
use estop_protocol::time::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::{SCHEMA, World, data};

/// Reads an answer by its type, and checks that the type would write it just so.
pub fn read<T: Serialize + DeserializeOwned>(written: Value) -> T {
    let read: T = serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(written, serde_json::to_value(&read).expect("JSON"));
    read
}

#[test]
fn a_run_and_its_events_in_every_state_are_as_the_types_have_them() {
    for state in State::ALL.iter().copied() {
        let world = World::new();
        let run = world.run_in(state);
        let Shown { test_run } = read(data(&world.ask(&show::OPERATION, run.id, &json!({}))));
        assert_eq!((test_run.id, test_run.state), (run.id, state));
        assert_eq!(test_run.cancel.is_some(), state == State::Cancelled);
        let lease = test_run.shards().first().and_then(|shard| shard.lease.as_ref());
        assert_eq!(lease.is_some(), matches!(state, State::Started | State::Cancelled));
        let Events { events } = read(data(&world.ask(&events::OPERATION, run.id, &json!({}))));
        assert_eq!(events.last().map(|event| event.to), Some(state));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    /// From 1970 to the end of 9999, where both end.
    #[test]
    fn the_database_writes_a_moment_as_rust_does(millis in 0_i64..=253_402_300_799_999) {
        thread_local! {
            static DB: Connection = Connection::open_in_memory().expect("SQLite");
        }
        let listed = SCHEMA.split("'$.created_at', ").nth(1);
        let moment = listed.and_then(|rest| rest.split_once(",\n")).map(|(moment, _)| moment);
        let sql = format!("SELECT {} FROM (SELECT ?1 AS created_at) r", moment.expect("a moment"));
        let written: String = DB.with(|db| db.prepare_cached(&sql)?.query_row([millis], |row| row.get(0))).expect("a text");
        prop_assert_eq!(written, Timestamp(millis).to_string());
    }
}
