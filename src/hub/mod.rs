//! What the hub tells whom. A project's hub holds the WebSockets of its watchers and of its runners; `edge` has its class.
//!
//! It only tells. Whether a run is cancelled is decided in the database, and each message says what was decided there: one
//! that is lost, late or doubled changes nothing.

use estop_protocol::heartbeat::StopOrder;
use estop_protocol::run::{Cause, State, StopOutcome};
use estop_protocol::time::Timestamp;
use estop_protocol::watch::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::json;
use crate::runtime::Sql;

/// Those of some keys that are still valid: the sockets of the others are closed.
pub const VALID_KEYS: Sql = Sql { file: "hub/valid_keys.sql", text: include_str!("valid_keys.sql") };

/// The tag of a socket that hears of all runs.
pub const FEED: &str = "feed";

/// The tag of a socket that hears of one run.
pub fn run(id: i64) -> String {
    format!("run:{id}")
}

/// The tag of a socket that hears the orders for one run's shards.
pub fn line(id: i64) -> String {
    format!("line:{id}")
}

/// The tag of a socket that a key has opened.
pub fn key(id: i64) -> String {
    format!("key:{id}")
}

/// The key that a tag names.
pub fn key_of(tag: &str) -> Option<i64> {
    tag.strip_prefix("key:")?.parse().ok()
}

/// A text for every socket with this tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The tag.
    pub tag: String,
    /// The text.
    pub text: String,
}

/// What of a run decides who has to hear of it.
#[derive(Deserialize)]
struct Run {
    id: i64,
    version: i64,
    state: State,
    cancel: Option<Cancel>,
    stop: Option<Stop>,
}

#[derive(Deserialize)]
struct Cancel {
    reason: Option<String>,
    cause: Cause,
    by: String,
    at: Timestamp,
}

#[derive(Deserialize)]
struct Stop {
    outcome: StopOutcome,
    kill: Option<serde::de::IgnoredAny>,
}

/// The frames for runs that have changed: a JSON array of runs, as lists have them. What cannot be read is not told.
pub fn frames(runs: &str, grace_seconds: i64) -> Vec<Frame> {
    let runs: Vec<&RawValue> = serde_json::from_str(runs).unwrap_or_default();
    let mut frames = Vec::new();
    for text in runs {
        let Ok(known) = serde_json::from_str::<Run>(text.get()) else { continue };
        let told = json(&Message::Run { run: text });
        if let Some(stop) = known.order(grace_seconds) {
            let order = Message::<()>::Stop { test_run: known.id, version: known.version, stop };
            frames.push(Frame { tag: line(known.id), text: json(&order) });
        }
        frames.push(Frame { tag: run(known.id), text: told.clone() });
        frames.push(Frame { tag: FEED.to_owned(), text: told });
    }
    frames
}

impl Run {
    /// The order for its runners, as a heartbeat's answer has it; none while there is nothing to stop.
    fn order(&self, grace_seconds: i64) -> Option<StopOrder> {
        let (Some(cancel), Some(stop), State::Cancelled) = (&self.cancel, &self.stop, self.state) else { return None };
        let is_open = matches!(stop.outcome, StopOutcome::Stopping | StopOutcome::Lost);
        is_open.then(|| StopOrder {
            reason: cancel.reason.clone(),
            cause: cancel.cause,
            by: cancel.by.clone(),
            at: cancel.at,
            grace_seconds,
            lease_lost: stop.outcome == StopOutcome::Lost,
            kill: stop.kill.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cancelled(outcome: &str, kill: Value) -> Value {
        json!({
            "id": 7, "version": 3, "state": "cancelled",
            "cancel": {"reason": "why", "cause": "user", "by": "ada", "at": "2026-11-24T09:30:00.000Z"},
            "stop": {"outcome": outcome, "kill": kill},
        })
    }

    fn told(runs: &Value) -> Vec<(String, Value)> {
        let frames = frames(&runs.to_string(), 10);
        frames.into_iter().map(|f| (f.tag, serde_json::from_str(&f.text).expect("JSON"))).collect()
    }

    #[test]
    fn a_change_is_told_to_who_watches_the_run_or_the_project() {
        let run = json!({"id": 7, "version": 1, "state": "queued", "cancel": null, "stop": null});
        let message = json!({"type": "run", "run": run});
        assert_eq!(told(&json!([run])), [("run:7".to_owned(), message.clone()), ("feed".to_owned(), message)]);
    }

    #[test]
    fn runners_hear_an_order_and_nothing_else() {
        let order = |outcome, kill| told(&json!([cancelled(outcome, kill)])).swap_remove(0);
        let (tag, message) = order("stopping", Value::Null);
        assert_eq!(tag, "line:7");
        assert_eq!(
            message,
            json!({"type": "stop", "test_run": 7, "version": 3, "stop": {
                "reason": "why", "cause": "user", "by": "ada", "at": "2026-11-24T09:30:00.000Z", "grace_seconds": 10,
                "lease_lost": false, "kill": false}})
        );
        assert_eq!(order("stopping", json!({"by": "ada"})).1["stop"]["kill"], true);
        assert_eq!(order("lost", Value::Null).1["stop"]["lease_lost"], true);
        for over in ["graceful", "killed", "never_started"] {
            assert_eq!(order(over, Value::Null).0, "run:7", "there is nothing to stop");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        for odd in ["", "{}", "[1, {}, null]", r#"[{"id": "7"}]"#] {
            assert_eq!(frames(odd, 10), []);
        }
    }

    #[test]
    fn a_tag_names_its_key() {
        assert_eq!((key_of(&key(5)), key_of(&run(5)), key_of("key:x")), (Some(5), None, None));
    }
}
