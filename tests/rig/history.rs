//! The audit trail against the record: folding a run's events must give its row. And what must hold of every database,
//! whatever has happened to it.

use rusqlite::Connection;

/// Checks it for the runs that the condition names, and says how many there are.
#[track_caller]
pub fn folds(db: &Connection, runs: &str) -> usize {
    let mut select = db
        .prepare_cached(&format!(
            "SELECT r.id, r.state, r.created_at, r.started_at, COALESCE(r.ended_at, r.cancelled_at), e.at, e.from_state, e.to_state \
             FROM runs r JOIN run_events e ON e.run_id = r.id AND e.step <= 4 WHERE {runs} ORDER BY r.id, e.step"
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

/// What no database may ever hold: a sentence, and the query that finds the ids of runs of which it is true.
/// SQLite's own `integrity_check` looks after the schema's CHECKs.
const NEVER: [(&str, &str); 12] = [
    (
        "is over without one event of its end",
        "SELECT id FROM runs r WHERE state IN ('ended', 'error', 'cancelled') AND 1 <> \
            (SELECT count(*) FROM run_events WHERE run_id = r.id AND step <= 4 AND to_state IN ('ended', 'error', 'cancelled'))",
    ),
    (
        "has an end that its event tells otherwise",
        "SELECT id FROM runs r JOIN run_events e ON e.run_id = r.id AND e.step = 4 WHERE (e.cause, e.by, e.reason) IS NOT \
            (COALESCE(r.cancel_cause, 'finished'), COALESCE(r.cancel_by, r.ended_by), COALESCE(r.cancel_reason, r.error_code))",
    ),
    (
        "has a claim that its event tells otherwise",
        "SELECT id FROM runs r LEFT JOIN run_events e ON e.run_id = r.id AND e.step = 3 \
            WHERE (e.cause, e.by, e.at) IS NOT (iif(r.started_at IS NULL, NULL, 'claimed'), r.started_by, r.started_at)",
    ),
    (
        "shares its concurrency group with another holder",
        "SELECT max(id) FROM runs WHERE concurrency_group IS NOT NULL AND (state = 'started' OR stop_outcome = 'stopping') \
            GROUP BY project_id, concurrency_group HAVING count(*) > 1",
    ),
    (
        "waits beside another for one concurrency group",
        "SELECT max(id) FROM runs WHERE concurrency_group IS NOT NULL AND state = 'pending' GROUP BY project_id, concurrency_group HAVING count(*) > 1",
    ),
    (
        "waits for nobody",
        "SELECT id FROM runs r WHERE concurrency_group IS NOT NULL AND state = 'pending' AND NOT EXISTS (SELECT 1 FROM runs o \
            WHERE o.project_id = r.project_id AND o.concurrency_group = r.concurrency_group AND o.id <> r.id AND (o.state IN ('queued', 'started') OR o.stop_outcome = 'stopping'))",
    ),
    (
        "was superseded by none that took its place",
        "SELECT r.id FROM runs r LEFT JOIN runs n ON n.id = r.superseded_by WHERE r.cancel_cause = 'superseded' \
            AND (n.id > r.id AND n.project_id = r.project_id AND n.concurrency_group = r.concurrency_group AND n.created_at = r.cancelled_at) IS NOT TRUE",
    ),
    (
        "has a stop that its event tells otherwise",
        "SELECT id FROM runs r LEFT JOIN run_events e ON e.run_id = r.id AND e.step = 6 \
            WHERE (e.at, e.reason) IS NOT (r.stop_closed_at, iif(r.stop_closed_at IS NULL, NULL, r.stop_outcome))",
    ),
    (
        "counts its shards otherwise than they are",
        "SELECT id FROM runs r WHERE (open_shards, finished_shards, failed_tests) IS NOT \
            (SELECT count(*) FILTER (WHERE state = 'started'), count(ended_at), coalesce(sum(failed), 0) FROM run_shards WHERE run_id = r.id)",
    ),
    (
        "is not what its shards add up to",
        "SELECT id FROM runs r WHERE (state IN ('ended', 'error')) <> (finished_shards = total_shards AND state <> 'cancelled') \
            OR (stop_closed_at IS NOT NULL AND stop_closed_at IS NOT (SELECT max(stop_closed_at) FROM run_shards WHERE run_id = r.id))",
    ),
    (
        "has a lease that ends before it begins",
        "SELECT run_id FROM run_shards WHERE lease_expires_at < lease_renewed_at",
    ),
    ("was renewed before it was claimed", "SELECT run_id FROM run_shards WHERE lease_renewed_at < started_at"),
];

/// Every contradiction in a database, and every damage that SQLite finds in it.
pub fn contradictions(db: &Connection) -> Vec<String> {
    let all = |query: &str| -> Vec<String> {
        let query = format!("WITH found (what) AS ({query}) SELECT CAST(what AS TEXT) FROM found");
        let mut select = db.prepare(&query).expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
    };
    let mut found = all("SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
    found.extend(all("SELECT \"table\" || ' refers to nothing' FROM pragma_foreign_key_check"));
    for (sentence, query) in NEVER {
        found.extend(all(query).into_iter().map(|id| format!("run {id} {sentence}")));
    }
    found
}
