//! 0.1.0's Worker, as far as it is its statements: what it still does to a database that has been migrated.

use estop::key::KeyHash;
use estop::run::{Event, Timeout};
use estop_protocol::run::{Finish, State};
use rusqlite::params;
use rusqlite::types::{Null, ToSql};

use crate::upgrade::record;
use crate::world::{LEASE, NOW, Run, STOP_LIMIT, World};

/// 0.1.0's own statements, as the old Worker sends them in the seconds between the migrations and its end.
pub struct OldWorker<'a> {
    pub world: &'a World,
    pub key: KeyHash,
}

impl OldWorker<'_> {
    /// Runs a batch; `None` if it fails because the schema has another name for something.
    pub fn batch(&self, statements: &[(&str, &[&dyn ToSql])]) -> Option<Vec<Vec<String>>> {
        let mut db = self.world.runtime.db.borrow_mut();
        let transaction = db.transaction().expect("a transaction");
        let mut answers = Vec::new();
        for (name, params) in statements {
            let text = record(&format!("statements/{name}.sql"));
            let mut prepared = match transaction.prepare(text.trim_end()) {
                Ok(prepared) => prepared,
                Err(error) => {
                    let words = error.to_string();
                    assert!(words.contains("no such ") || words.contains("has no column"), "{name}: {words}");
                    return None;
                }
            };
            let rows = prepared.query_map(*params, |row| row.get("row")).expect("rows");
            answers.push(rows.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{name}: {error}")));
        }
        transaction.commit().expect("a commit");
        Some(answers)
    }

    /// Lets an event happen; says whether it took, or `None` if the statements failed.
    pub fn apply(&self, run: &mut Run, event: Event) -> Option<bool> {
        let (key, now, id) = (self.key.as_str(), self.world.now.get().0, run.id);
        let later = now + LEASE;
        Some(match event {
            Event::Claim => {
                let token = format!("token-{id}");
                let rows = self.batch(&[
                    ("close_lost", params![key, now, id]),
                    ("claim", params![key, now, id, "own:claim", token, LEASE, "r"]),
                    ("explain_claim", params![key, now, id, "own:claim"]),
                ])?;
                run.token = token;
                !rows[1].is_empty()
            }
            Event::Heartbeat => {
                let rows = self.batch(&[
                    ("heartbeat", params![key, now, id, run.token, LEASE, STOP_LIMIT]),
                    ("explain_heartbeat", params![key, now, id, run.token]),
                ])?;
                let row: serde_json::Value = serde_json::from_str(&rows[1][0]).expect("JSON");
                row["run"]["state"] == "started" && row["run"]["holds"] == 1
            }
            Event::Finish(how) => {
                let (state, result, code): (&str, &dyn ToSql, &dyn ToSql) = match how {
                    Finish::Ended => ("ended", &"passed", &Null),
                    Finish::Error => ("error", &Null, &"run_failed_with_error"),
                };
                let rows = self.batch(&[
                    ("finish", &[&key, &now, &id, &"own:finish", &run.token, &state, result, code, &Null]),
                    ("confirm_stop", params![key, now, id, run.token, "graceful"]),
                    ("explain_finish", params![key, now, id, "own:finish", run.token]),
                ])?;
                !rows[0].is_empty()
            }
            Event::Cancel => {
                let rows = self.batch(&[
                    ("cancel", params![key, now, id, "own:cancel", "why"]),
                    ("explain_cancel", params![key, now, id, "own:cancel"]),
                ])?;
                !rows[0].is_empty()
            }
            Event::Sweep(timeout) => {
                let rows = match timeout {
                    Timeout::Unclaimed => self.batch(&[("unclaimed", params![later, 0, 100, "tick:1"])]),
                    Timeout::Lapsed => self.batch(&[("lapsed", params![later, 0, 100, "tick:1"])]),
                    // It knew no shards.
                    Timeout::Incomplete => return Some(false),
                    Timeout::OverAge => self.batch(&[("over_age", params![later, 0, 100, "tick:1"])]),
                    Timeout::Unconfirmed => self.batch(&[("unconfirmed", params![later, 0, 100])]),
                }?;
                rows[0].contains(&id.to_string())
            }
        })
    }
}

impl OldWorker<'_> {
    /// A new run of project 1 in a state that it reached as runs do, by plain statements for this version of the schema.
    pub fn run_in(&self, state: State, version: usize) -> Run {
        let now = NOW.0;
        let waiting = if state == State::Pending { "pending" } else { "queued" };
        let db = self.world.runtime.db.borrow();
        let id: i64 = db
            .query_row(
                "INSERT INTO runs (project_id, environment_id, state, request_id, created_at, created_by, waiting_since) \
                 VALUES (1, 1, ?1, 'r' || (SELECT count(*) FROM runs), ?2, 'ada', ?2) RETURNING id",
                params![waiting, now],
                |row| row.get(0),
            )
            .expect("a run");
        let token = format!("held-{id}");
        let started = format!(
            "UPDATE runs SET state = 'started', lease_token = '{token}', lease_renewed_at = {now}, \
             lease_expires_at = {now} + {LEASE}, started_at = {now}, started_by = 'ada', claim_request_id = 'c' WHERE id = {id};"
        );
        let over = match state {
            State::Ended => {
                "state = 'ended', result = 'passed', ended_at = 1, ended_by = 'ada', finish_request_id = 'f'"
            }
            State::Error => {
                "state = 'error', error_code = 'merge_conflict', ended_at = 1, ended_by = 'ada', finish_request_id = 'f'"
            }
            State::Cancelled => {
                "state = 'cancelled', cancelled_at = 1800000000000, cancel_cause = 'user', cancel_by = 'ada', \
                 cancel_request_id = 'c', stop_outcome = 'stopping'"
            }
            State::Pending | State::Queued | State::Started => "waiting_since = waiting_since",
        };
        let text = if version < 6 {
            format!("{started} UPDATE runs SET {over} WHERE id = {id}")
        } else {
            // The lease is on the shard, which ends the run.
            let claimed = format!(
                "INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by, \
                 claim_request_id) VALUES ({id}, 1, 'started', '{token}', {now}, {now} + {LEASE}, {now}, 'ada', 'c');"
            );
            let over = match state {
                State::Cancelled => format!("UPDATE runs SET version = version + 1, {over} WHERE id = {id}"),
                State::Ended | State::Error => {
                    let over = over.replace("ended_at = 1, ended_by = 'ada'", &format!("ended_at = {now}"));
                    format!("UPDATE run_shards SET {over} WHERE run_id = {id}")
                }
                State::Pending | State::Queued | State::Started => String::new(),
            };
            format!("{claimed} {over}")
        };
        if !matches!(state, State::Pending | State::Queued) {
            db.execute_batch(&text).expect("a state");
        }
        Run { id, token }
    }
}
