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
/// SQLite's own `integrity_check` looks after the schema's CHECKs. `tampered.rs` shows that each can be found.
pub const NEVER: [(&str, &str); 30] = [
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
        "has a kill that its event tells otherwise",
        "SELECT id FROM runs r LEFT JOIN run_events e ON e.run_id = r.id AND e.step = 5 \
            WHERE (e.cause, e.by, e.at) IS NOT (iif(r.kill_at IS NULL, NULL, 'kill'), r.kill_by, r.kill_at)",
    ),
    (
        "has a stop that its event tells otherwise",
        "SELECT id FROM runs r LEFT JOIN run_events e ON e.run_id = r.id AND e.step = 6 \
            WHERE (e.at, e.reason) IS NOT (r.stop_closed_at, iif(r.stop_closed_at IS NULL, NULL, r.stop_outcome))",
    ),
    (
        "has a late result that its event or its shards tell otherwise",
        "SELECT id FROM runs r LEFT JOIN run_events e ON e.run_id = r.id AND e.step = 7 WHERE e.at IS NOT r.late_at \
            OR (r.late_at IS NOT NULL) <> EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND late_result IS NOT NULL) \
            OR (r.late_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND late_result ->> 'at' = r.late_at \
                AND coalesce(late_result ->> 'result', late_result ->> 'error_code') = e.reason))",
    ),
    (
        "is told of by an event and is not there",
        "SELECT run_id FROM run_events WHERE run_id NOT IN (SELECT id FROM runs)",
    ),
    (
        "is of another project's environment",
        "SELECT r.id FROM runs r LEFT JOIN environments e ON e.id = r.environment_id WHERE e.project_id IS NOT r.project_id",
    ),
    // Other changes than these count as well, such as a shard's second claim.
    (
        "has changed more often than its version says",
        "SELECT id FROM runs r WHERE version < (state = 'cancelled') \
            + (SELECT count(*) FROM run_events WHERE run_id = r.id AND step IN (1, 2, 5)) + (SELECT count(*) FILTER (WHERE carried = 0) + count(*) FILTER (WHERE carried = 0 AND ended_at IS NOT NULL) \
                      + count(*) FILTER (WHERE stop_outcome <> 'lost') + count(late_result) FROM run_shards WHERE run_id = r.id)",
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
        "is open beside another run of its group",
        "SELECT max(id) FROM runs WHERE run_group IS NOT NULL AND state IN ('pending', 'queued', 'started') \
            GROUP BY project_id, run_group HAVING count(*) > 1",
    ),
    (
        "is of an earlier attempt than a shard of it",
        "SELECT id FROM runs r WHERE attempt < (SELECT max(attempt) FROM run_shards WHERE run_id = r.id)",
    ),
    (
        "carries a shard that had not passed before",
        "SELECT r.id FROM run_shards s JOIN runs r ON r.id = s.run_id WHERE s.carried = 1 AND NOT EXISTS (SELECT 1 FROM runs p \
            JOIN run_shards q ON q.run_id = p.id AND q.shard = s.shard WHERE p.project_id = r.project_id AND p.run_group = r.run_group \
                AND (p.environment_id, p.total_shards) = (r.environment_id, r.total_shards) AND p.attempt < r.attempt AND q.result = 'passed' AND (q.started_at, q.ended_at) = (s.started_at, s.ended_at))",
    ),
    (
        "has a shard that it cannot have",
        "SELECT run_id FROM run_shards s LEFT JOIN runs r ON r.id = s.run_id WHERE (s.shard <= r.total_shards) IS NOT TRUE",
    ),
    // A runner that is stopping may tell of more failed tests; a run that is cancelled counts no more.
    (
        "counts its shards otherwise than they are",
        "SELECT id FROM runs r JOIN (SELECT r.id AS run_id, count(*) FILTER (WHERE s.state = 'started') AS open, count(s.ended_at) AS finished, \
                    coalesce(sum(s.failed), 0) AS failed FROM runs r LEFT JOIN run_shards s ON s.run_id = r.id GROUP BY r.id) s ON s.run_id = r.id \
            WHERE (open_shards, finished_shards) IS NOT (s.open, s.finished) \
               OR failed_tests > s.failed OR (failed_tests < s.failed AND r.state <> 'cancelled')",
    ),
    (
        "is not what its shards add up to",
        "SELECT id FROM runs r WHERE (state IN ('ended', 'error')) <> (finished_shards = total_shards AND state <> 'cancelled') \
            OR (stop_closed_at IS NOT NULL AND stop_closed_at IS NOT (SELECT max(stop_closed_at) FROM run_shards WHERE run_id = r.id))",
    ),
    (
        "is started otherwise than its shards tell",
        "SELECT id FROM runs r WHERE (started_at IS NOT NULL) <> EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND carried = 0)",
    ),
    (
        "is over and has stopped, but for a shard that is open",
        "SELECT id FROM runs r WHERE (state IN ('ended', 'error') OR stop_closed_at IS NOT NULL OR stop_outcome = 'never_started') \
            AND EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND state = 'started')",
    ),
    (
        "is stopping with no shard open",
        "SELECT id FROM runs r WHERE stop_outcome = 'stopping' AND NOT EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND state = 'started')",
    ),
    (
        "has a shard that stopped, and was not cancelled",
        "SELECT id FROM runs r WHERE state <> 'cancelled' AND EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND state = 'cancelled')",
    ),
    (
        "stopped otherwise than the worst of its shards",
        "SELECT id FROM runs r WHERE stop_closed_at IS NOT NULL AND stop_outcome IS NOT (SELECT substr(max( \
            CASE stop_outcome WHEN 'lost' THEN '4' WHEN 'killed' THEN '3' WHEN 'terminated' THEN '2' ELSE '1' END || stop_outcome), 2) \
            FROM run_shards WHERE run_id = r.id)",
    ),
    (
        "ended otherwise than its shards did",
        "SELECT id FROM runs r WHERE state IN ('ended', 'error') AND (state, result, error_code, ended_at) IS NOT \
            (SELECT iif(count(error_code) > 0, 'error', 'ended'), iif(count(error_code) > 0, NULL, iif(sum(result = 'failed') > 0, 'failed', 'passed')), \
                    (SELECT error_code FROM run_shards WHERE run_id = r.id AND error_code IS NOT NULL ORDER BY shard LIMIT 1), max(ended_at) \
               FROM run_shards WHERE run_id = r.id)",
    ),
    (
        "has other counts than its shards' sum",
        "SELECT id FROM runs r WHERE state IN ('ended', 'error') AND \
            (counts ->> 'total', counts ->> 'success', counts ->> 'failed', counts ->> 'skipped', counts ->> 'flaky') IS NOT \
            (SELECT sum(counts ->> 'total'), sum(counts ->> 'success'), sum(counts ->> 'failed'), sum(counts ->> 'skipped'), \
                    sum(counts ->> 'flaky') FROM run_shards WHERE run_id = r.id)",
    ),
    // Failed tests of shards that passed all the same are carried over, and are acted on at the next claim.
    (
        "failed too seldom to be stopped by fail_fast, or so often that it should have been",
        "SELECT id FROM runs r WHERE (cancel_cause = 'fail_fast' AND (failed_tests >= fail_fast) IS NOT TRUE) \
            OR (state = 'started' AND failed_tests >= fail_fast AND NOT EXISTS (SELECT 1 FROM run_shards WHERE run_id = r.id AND carried = 1))",
    ),
    (
        "shares a lease with another shard",
        "SELECT max(run_id) FROM run_shards WHERE lease_token IS NOT NULL GROUP BY lease_token HAVING count(*) > 1",
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
