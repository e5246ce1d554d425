//! The audit trail against the record: folding a run's events must give its row.

use crate::backend::Backend;

/// Checks it for the runs that the condition names, and says how many there are.
#[track_caller]
pub fn folds(backend: &Backend, runs: &str) -> usize {
    let db = backend.db();
    let mut select = db
        .prepare_cached(&format!(
            "SELECT r.id, r.state, r.created_at, r.started_at, COALESCE(r.ended_at, r.cancelled_at), e.at, e.from_state, e.to_state \
             FROM runs r JOIN run_events e ON e.run_id = r.id WHERE {runs} ORDER BY r.id, e.step"
        ))
        .expect("SQL");
    type Event = (i64, String, [Option<i64>; 3], i64, Option<String>, String);
    let events = select
        .query_map([], |row| {
            let times = [row.get(2)?, row.get(3)?, row.get(4)?];
            Ok((row.get(0)?, row.get(1)?, times, row.get(5)?, row.get(6)?, row.get(7)?))
        })
        .expect("rows")
        .collect::<Result<Vec<Event>, _>>()
        .expect("events");
    let of_runs: Vec<&[Event]> = events.chunk_by(|a, b| a.0 == b.0).collect();
    let count: usize =
        db.query_row(&format!("SELECT count(*) FROM runs r WHERE {runs}"), [], |row| row.get(0)).expect("a count");
    assert_eq!(of_runs.len(), count, "every run has events");
    for events in of_runs {
        let (id, row, [created, started, over], ..) = &events[0];
        let mut state: Option<String> = None;
        let (mut first, mut claimed, mut ended) = (None, None, None);
        for (_, _, _, at, from, to) in events {
            assert_eq!(&state, from, "run {id}: each event goes on from the one before");
            match to.as_str() {
                "pending" | "queued" => first = first.or(Some(*at)),
                "started" => claimed = Some(*at),
                _ => assert_eq!(ended.replace(*at), None, "run {id} is over once"),
            }
            state = Some(to.clone());
        }
        assert_eq!(state.as_ref(), Some(row), "run {id}: the last event is the row's state");
        assert_eq!([first, claimed, ended], [*created, *started, *over], "run {id}: moments");
    }
    count
}
