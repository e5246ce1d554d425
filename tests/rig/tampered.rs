//! What must never be in a database is found there: each sentence of [`NEVER`] is made true by hand.

use rusqlite::Connection;

use crate::history::{NEVER, contradictions, folds};

/// Runs of every kind, made with the schema's rules in force. A claim is an INSERT into `run_shards`; the rest follows.
const GOOD: &str = "
    INSERT INTO projects (id, slug, name, request_id, created_at) VALUES (1, 'a', 'A', 'p', 0), (2, 'b', 'B', 'q', 0);
    INSERT INTO environments (id, project_id, slug, name, request_id, created_at) VALUES (1, 1, 's', 'S', 'e', 0), (2, 2, 's', 'S', 'f', 0);
    CREATE TABLE new_runs AS SELECT * FROM runs;
    CREATE TRIGGER register AFTER INSERT ON new_runs BEGIN
        INSERT INTO runs (id, project_id, environment_id, state, request_id, created_at, created_by, waiting_since, total_shards,
                          fail_fast, run_group, attempt, concurrency_group)
        VALUES (NEW.id, 1, 1, coalesce(NEW.state, 'queued'), 'r' || NEW.id, 10, 'ada', 10, NEW.total_shards, NEW.fail_fast,
                NEW.run_group, coalesce(NEW.attempt, 1), NEW.concurrency_group);
    END;
    CREATE TABLE claims (run INTEGER, shard INTEGER, attempt INTEGER);
    CREATE TRIGGER claim AFTER INSERT ON claims BEGIN
        INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, claim_request_id, attempt)
        VALUES (NEW.run, NEW.shard, 'started', NEW.run || '.' || NEW.shard, 20, 140, 20, 'ada', 'c', coalesce(NEW.attempt, 1));
    END;

    -- 1 ended: one shard passed, the other failed. 2 is its second attempt, and goes on. 3 broke.
    INSERT INTO new_runs (id, total_shards, run_group) VALUES (1, 2, 'g'), (3, 2, NULL);
    INSERT INTO claims (run, shard) VALUES (1, 1), (1, 2), (3, 1), (3, 2);
    UPDATE run_shards SET state = 'ended', result = iif(shard = 1, 'passed', 'failed'), failed = shard - 1, ended_at = 30 + shard, finish_request_id = 'f',
        counts = json_object('total', 3, 'success', 4 - shard, 'failed', shard - 1, 'skipped', 0, 'flaky', 0) WHERE run_id = 1;
    UPDATE run_shards SET state = 'error', error_code = iif(shard = 1, 'merge_conflict', 'dispatch_failed'), ended_at = 30, finish_request_id = 'f' WHERE run_id = 3;
    INSERT INTO new_runs (id, total_shards, run_group, attempt) VALUES (2, 2, 'g', 2);
    INSERT INTO claims VALUES (2, 2, 2);
    -- 4 was cancelled and killed; 5 is stopping; 6 was lost, and one shard told its result late; 7 failed too fast; 8 waits.
    INSERT INTO new_runs (id, total_shards, fail_fast) VALUES (4, 2, NULL), (5, 1, NULL), (6, 2, NULL), (7, 2, 1), (8, 1, NULL);
    INSERT INTO claims (run, shard) VALUES (4, 1), (4, 2), (5, 1), (6, 1), (6, 2), (7, 1);
    UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 40, cancel_cause = 'user', cancel_by = 'bob', cancel_request_id = 'x',
        stop_outcome = 'stopping' WHERE id IN (4, 5);
    UPDATE runs SET version = version + 1, kill_at = 45, kill_by = 'bob', kill_request_id = 'k' WHERE id = 4;
    UPDATE run_shards SET state = 'cancelled', stop_outcome = iif(shard = 1, 'graceful', 'killed'), stop_closed_at = 50 + shard WHERE run_id = 4;
    UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = 400, cancel_cause = 'stale', cancel_by = 'system:sweeper',
        cancel_request_id = 't', stop_outcome = 'lost', stop_closed_at = 400, open_shards = 0 WHERE id = 6;
    UPDATE run_shards SET late_result = json_object('state', 'ended', 'result', 'passed', 'at', 500) WHERE run_id = 6 AND shard = 1;
    UPDATE run_shards SET failed = 1, lease_renewed_at = 30 WHERE run_id = 7;
    -- 9 holds a concurrency group and 10 waits for it; 12 took the place of 11.
    UPDATE projects SET concurrency_behaviour = 'queue_new';
    INSERT INTO new_runs (id, total_shards, concurrency_group) VALUES (9, 1, 'environment 1');
    INSERT INTO claims (run, shard) VALUES (9, 1);
    INSERT INTO new_runs (id, total_shards, state, concurrency_group) VALUES (10, 1, 'pending', 'environment 1');
    UPDATE projects SET concurrency_behaviour = 'cancel_previous';
    INSERT INTO new_runs (id, total_shards, concurrency_group) VALUES (11, 1, 'project'), (12, 1, 'project');
";

/// Each sentence, and how a run comes to be what it says: past every rule.
const TAMPERED: [(&str, &str); 47] = [
    ("is over without one event of its end", "DELETE FROM run_events WHERE run_id = 1 AND step = 4"),
    ("has an end that its event tells otherwise", "UPDATE run_events SET by = 'eve' WHERE run_id = 4 AND step = 4"),
    ("has a claim that its event tells otherwise", "UPDATE runs SET started_by = 'eve' WHERE id = 1"),
    ("has a kill that its event tells otherwise", "UPDATE runs SET kill_by = 'eve' WHERE id = 4"),
    ("has a kill that its event tells otherwise", "DELETE FROM run_events WHERE run_id = 4 AND step = 5"),
    (
        "has a stop that its event tells otherwise",
        "UPDATE run_events SET reason = 'lost' WHERE run_id = 4 AND step = 6",
    ),
    ("has a late result that its event or its shards tell otherwise", "UPDATE runs SET late_at = 501 WHERE id = 6"),
    (
        "has a late result that its event or its shards tell otherwise",
        "UPDATE run_shards SET late_result = NULL WHERE run_id = 6",
    ),
    (
        "has a late result that its event or its shards tell otherwise",
        "UPDATE run_events SET reason = 'failed' WHERE run_id = 6 AND step = 7",
    ),
    ("is told of by an event and is not there", "DELETE FROM runs WHERE id = 8"),
    ("is of another project's environment", "UPDATE runs SET environment_id = 2 WHERE id = 8"),
    ("has changed more often than its version says", "UPDATE runs SET version = version - 1 WHERE id = 1"),
    ("has changed more often than its version says", "UPDATE runs SET version = version - 1 WHERE id = 4"),
    ("has changed more often than its version says", "UPDATE runs SET version = version - 1 WHERE id = 6"),
    ("shares its concurrency group with another holder", "UPDATE runs SET state = 'started' WHERE id = 10"),
    ("waits beside another for one concurrency group", "UPDATE runs SET state = 'pending' WHERE id = 9"),
    ("waits for nobody", "UPDATE runs SET state = 'ended' WHERE id = 9"),
    ("was superseded by none that took its place", "UPDATE runs SET superseded_by = 9 WHERE id = 11"),
    ("is open beside another run of its group", "UPDATE runs SET run_group = 'g', attempt = 3 WHERE id = 8"),
    ("is of an earlier attempt than a shard of it", "UPDATE run_shards SET attempt = 3 WHERE run_id = 2 AND shard = 2"),
    (
        "carries a shard that had not passed before",
        "UPDATE run_shards SET result = 'failed' WHERE run_id = 1 AND shard = 1",
    ),
    (
        "carries a shard that had not passed before",
        "UPDATE run_shards SET started_at = 19 WHERE run_id = 2 AND shard = 1",
    ),
    ("carries a shard that had not passed before", "UPDATE runs SET total_shards = 3 WHERE id = 1"),
    ("carries a shard that had not passed before", "UPDATE runs SET environment_id = 2 WHERE id = 1"),
    ("has a shard that it cannot have", "UPDATE run_shards SET shard = 3 WHERE run_id = 1 AND shard = 2"),
    ("has a shard that it cannot have", "UPDATE run_shards SET run_id = 99 WHERE run_id = 5"),
    ("counts its shards otherwise than they are", "UPDATE runs SET open_shards = 2 WHERE id = 2"),
    ("counts its shards otherwise than they are", "UPDATE runs SET finished_shards = 0 WHERE id = 2"),
    ("counts its shards otherwise than they are", "UPDATE runs SET failed_tests = 2 WHERE id = 7"),
    ("counts its shards otherwise than they are", "UPDATE run_shards SET failed = 1 WHERE run_id = 2"),
    ("is not what its shards add up to", "UPDATE runs SET state = 'started' WHERE id = 1"),
    ("is started otherwise than its shards tell", "DELETE FROM run_shards WHERE run_id = 9"),
    ("is started otherwise than its shards tell", "UPDATE runs SET started_at = NULL WHERE id = 2"),
    (
        "is over and has stopped, but for a shard that is open",
        "UPDATE run_shards SET state = 'started' WHERE run_id = 1 AND shard = 1",
    ),
    (
        "is over and has stopped, but for a shard that is open",
        "UPDATE run_shards SET state = 'started' WHERE run_id = 4 AND shard = 1",
    ),
    ("is stopping with no shard open", "UPDATE run_shards SET state = 'cancelled' WHERE run_id = 5"),
    (
        "has a shard that stopped, and was not cancelled",
        "UPDATE run_shards SET state = 'cancelled' WHERE run_id = 2 AND shard = 2",
    ),
    ("stopped otherwise than the worst of its shards", "UPDATE runs SET stop_outcome = 'graceful' WHERE id = 4"),
    ("ended otherwise than its shards did", "UPDATE runs SET result = 'passed' WHERE id = 1"),
    ("ended otherwise than its shards did", "UPDATE runs SET error_code = 'dispatch_failed' WHERE id = 3"),
    ("has other counts than its shards' sum", "UPDATE runs SET counts = json_set(counts, '$.failed', 2) WHERE id = 1"),
    ("has other counts than its shards' sum", "UPDATE runs SET counts = NULL WHERE id = 1"),
    (
        "failed too seldom to be stopped by fail_fast, or so often that it should have been",
        "UPDATE runs SET fail_fast = 2 WHERE id = 7",
    ),
    (
        "failed too seldom to be stopped by fail_fast, or so often that it should have been",
        "UPDATE runs SET fail_fast = 1, failed_tests = 1 WHERE id = 9",
    ),
    ("shares a lease with another shard", "UPDATE run_shards SET lease_token = '1.2' WHERE run_id = 9"),
    ("has a lease that ends before it begins", "UPDATE run_shards SET lease_expires_at = 19 WHERE run_id = 9"),
    ("was renewed before it was claimed", "UPDATE run_shards SET lease_renewed_at = 19 WHERE run_id = 9"),
];

#[test]
fn what_must_never_be_is_found_where_it_is() {
    let db = Connection::open_in_memory().expect("SQLite");
    db.execute_batch(include_str!("../../schema.sql")).expect("the schema");
    db.execute_batch(GOOD).expect("runs");
    folds(&db, "true");
    assert_eq!(contradictions(&db), [""; 0]);
    let triggers: Vec<String> = {
        let mut select = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").expect("SQL");
        select.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("names")
    };
    for trigger in triggers {
        db.execute_batch(&format!("DROP TRIGGER {trigger}")).expect("SQL");
    }
    db.pragma_update(None, "ignore_check_constraints", true).expect("a pragma");
    for (sentence, sql) in TAMPERED {
        db.execute_batch(&format!("SAVEPOINT good; {sql};")).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let found = contradictions(&db);
        assert!(found.iter().any(|one| one.ends_with(sentence)), "not found after {sql}: {sentence}; but {found:?}");
        db.execute_batch("ROLLBACK TO good; RELEASE good").expect("SQL");
    }
    for (sentence, _) in NEVER {
        assert!(TAMPERED.iter().any(|(tampered, _)| *tampered == sentence), "not tried: {sentence}");
    }
}
