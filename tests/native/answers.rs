//! The answers that the database writes itself are what their types say, to the last null.

use estop::run::State;
use estop::store::run::{events, show};
use estop::time::Timestamp;
use estop::wire::answers::{RunEvent, TestRun};
use pollster::block_on;
use proptest::prelude::*;
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::world::World;

/// Reads an answer by its type, and checks that the type would write it just so.
pub fn read<T: Serialize + DeserializeOwned>(written: &RawValue) -> T {
    let read: T = serde_json::from_str(written.get()).unwrap_or_else(|error| panic!("{error}: {written}"));
    let expected = serde_json::to_value(&read).expect("JSON");
    assert_eq!(serde_json::from_str::<Value>(written.get()).expect("JSON"), expected);
    read
}

#[test]
fn a_run_and_its_events_in_every_state_are_as_the_types_have_them() {
    for state in [State::Pending, State::Queued, State::Started, State::Ended, State::Error, State::Cancelled] {
        let world = World::new();
        let run = world.run_in(state);
        let caller = world.caller(&world.key);
        let shown: TestRun = read(&block_on(show(&world.host, &caller, run.id)).expect("a run"));
        assert_eq!((shown.id, shown.state), (run.id, state));
        assert_eq!(shown.cancel.is_some(), state == State::Cancelled);
        assert_eq!(shown.lease.is_some(), state == State::Started);
        let told: Vec<RunEvent> = read(&block_on(events(&world.host, &caller, run.id)).expect("events"));
        assert_eq!(told.last().map(|event| event.to), Some(state));
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
        let sql = estop::sql::run::SHOW.split("'created_at', ").nth(1).and_then(|rest| rest.split(", 'created_by'").next());
        let sql = format!("SELECT {} FROM (SELECT ?1 AS created_at) r", sql.expect("a moment"));
        let written: String = DB.with(|db| db.prepare_cached(&sql)?.query_row([millis], |row| row.get(0))).expect("a text");
        prop_assert_eq!(written, Timestamp(millis).to_string());
    }
}
