//! What the database on disk holds, and whether the service shows the same.

use std::collections::BTreeMap;
use std::path::Path;

use estop_protocol::time::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::client::Project;
use crate::history;
use crate::ledger::{Act, Deed};

/// A run's row. Requests are named by their Idempotency-Key.
#[derive(Debug)]
pub struct Run {
    project: i64,
    pub version: i64,
    pub state: String,
    pub registered: Option<String>,
    pub claimed: Option<String>,
    pub lease: Option<String>,
    pub lease_until: Option<i64>,
    pub finished: Option<String>,
    /// By a user; a run that took its place is told by the event.
    pub cancelled: Option<String>,
    pub reason: Option<String>,
    pub stop: Option<String>,
    /// When it ended or was cancelled.
    pub over: Option<i64>,
    events: Value,
}

impl Run {
    pub fn lease_json(&self) -> Value {
        json!(self.lease)
    }
}

pub struct Record {
    /// Of all projects but the demo's.
    pub runs: BTreeMap<i64, Run>,
    pub contradictions: Vec<String>,
}

const RUNS: &str = "SELECT id, project_id, version, runs.state, substr(request_id, instr(request_id, ':key:') + 5), \
        substr(claim_request_id, instr(claim_request_id, ':key:') + 5), lease_token, lease_expires_at, \
        substr(finish_request_id, instr(finish_request_id, ':key:') + 5), \
        iif(cancel_cause = 'user', substr(cancel_request_id, instr(cancel_request_id, ':key:') + 5), NULL), \
        cancel_reason, runs.stop_outcome, COALESCE(runs.ended_at, cancelled_at), \
        (SELECT json_group_array(json_array(at, from_state, to_state, cause, by, reason)) \
           FROM (SELECT * FROM run_events WHERE run_id = runs.id ORDER BY step)) \
    FROM runs LEFT JOIN run_shards ON run_id = runs.id AND shard = 1 WHERE project_id > 1";

impl Record {
    /// Reads a copy of the database.
    pub fn read(copy: &Path) -> Self {
        let db = Connection::open(copy).expect("the database");
        let runs = db
            .prepare(RUNS)
            .expect("SQL")
            .query_map([], |row| {
                let run = Run {
                    project: row.get(1)?,
                    version: row.get(2)?,
                    state: row.get(3)?,
                    registered: row.get(4)?,
                    claimed: row.get(5)?,
                    lease: row.get(6)?,
                    lease_until: row.get(7)?,
                    finished: row.get(8)?,
                    cancelled: row.get(9)?,
                    reason: row.get(10)?,
                    stop: row.get(11)?,
                    over: row.get(12)?,
                    events: serde_json::from_str(&row.get::<_, String>(13)?).expect("JSON"),
                };
                Ok((row.get(0)?, run))
            })
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("runs");
        history::folds(&db, "true");
        Self { runs, contradictions: history::contradictions(&db) }
    }

    /// Whether the change that a request asked for is stored, and stems from it.
    pub fn has(&self, deed: &Deed) -> bool {
        match deed.act {
            Act::Register => self.runs.values().any(|run| deed.made(run)),
            _ => self.runs.get(&deed.run).is_some_and(|run| deed.made(run)),
        }
    }

    /// Checks that list, show and events of a project tell what is stored.
    pub fn is_served(&self, project: &Project) {
        let mut mine: Vec<(&i64, &Run)> = self.runs.iter().filter(|(_, run)| run.project == project.id).collect();
        mine.reverse();
        let list = project.get("/api/test-runs?per_page=30").ok();
        let total = usize::try_from(list["pagination"]["total"].as_u64().expect("a total")).expect("few");
        let all_are_counted = list["pagination"]["total_is_lower_bound"] == false;
        assert!(total == mine.len() || (!all_are_counted && total < mine.len()), "{total} of {}", mine.len());
        let items = list["data"]["test_runs"]["items"].as_array().expect("items");
        // The latest are those that the kill may have hurt.
        mine.truncate(30);
        assert_eq!(items.len(), mine.len());
        for (item, (id, run)) in items.iter().zip(mine) {
            assert_eq!(item["id"], *id);
            let shown = project.show(*id);
            for (name, stored) in [
                ("/state", json!(run.state)),
                ("/cancel/reason", json!(run.reason)),
                ("/stop/outcome", json!(run.stop)),
            ] {
                assert_eq!(shown.pointer(name).unwrap_or(&Value::Null), &stored, "{name} of {id}");
                assert_eq!(item.pointer(name).unwrap_or(&Value::Null), &stored, "{name} of {id} in the list");
            }
            let events = project.get(&format!("/api/test-runs/{id}/events")).ok();
            let told = events["data"]["events"].as_array().expect("events").iter().map(|event| {
                let at = event["at"].as_str().and_then(Timestamp::parse).map(|at| at.0);
                json!([at, event["from"], event["to"], event["cause"], event["by"], event["reason"]])
            });
            assert_eq!(Value::Array(told.collect()), run.events, "run {id}");
        }
    }
}
