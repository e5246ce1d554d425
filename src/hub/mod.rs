//! What the hub tells whom. A project's hub holds the WebSockets of its watchers and of its runners; `edge` has its class.
//!
//! It only tells. Whether a run is cancelled is decided in the database, and each message says what was decided there: one
//! that is lost, late or doubled changes nothing.

use estop_protocol::heartbeat::StopStep;
use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::runtime::{Sql, sql};

/// Those of some keys that are still valid: the sockets of the others are closed.
pub const VALID_KEYS: Sql = sql!("hub/valid_keys.sql");

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

/// The tag of a socket that a session has opened which ends at this moment (ms).
pub fn ends(at: Timestamp) -> String {
    format!("ends:{}", at.0)
}

/// The end that a tag names.
pub fn end_of(tag: &str) -> Option<Timestamp> {
    tag.strip_prefix("ends:")?.parse().ok().map(Timestamp)
}

/// A text for every socket with this tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The tag.
    pub tag: String,
    /// The text.
    pub text: String,
}

/// A run that has changed, as the view `changed_runs` gives it, or a step that the runner of one has taken.
#[derive(Deserialize)]
struct Changed<'a> {
    id: i64,
    #[serde(default)]
    version: i64,
    #[serde(borrow)]
    run: Option<&'a RawValue>,
    /// The order for its runners, but for the grace; none while there is nothing to stop.
    #[serde(borrow)]
    stop: Option<&'a RawValue>,
    /// The message that tells of the step.
    #[serde(borrow)]
    step: Option<&'a RawValue>,
}

/// What [`crate::runtime::News`] has of a step that the runner of a run's shard has taken.
pub fn step(run: i64, shard: i64, step: StopStep, at: Timestamp) -> String {
    let message = format!(r#"{{"type":"step","test_run":{run},"shard":{shard},"step":"{}","at":"{at}"}}"#, step.name());
    format!(r#"[{{"id":{run},"step":{message}}}]"#)
}

/// The frames for runs that have changed: what [`crate::runtime::News`] has of them. The database has written all of it but for
/// the grace, so it is passed on as it is; tests hold it to [`estop_protocol::watch::Message`].
pub fn frames(runs: &str, grace_seconds: i64) -> Vec<Frame> {
    let runs: Vec<Changed> = serde_json::from_str(runs).unwrap_or_default();
    let mut frames = Vec::new();
    for Changed { id, version, run, stop, step } in runs {
        if let Some(step) = step {
            frames.push(Frame { tag: self::run(id), text: step.get().to_owned() });
        }
        let Some(run) = run else { continue };
        if let Some(order) = stop.and_then(|stop| stop.get().strip_prefix('{')) {
            let stop = format!(r#"{{"grace_seconds":{grace_seconds},{order}"#);
            let text = format!(r#"{{"type":"stop","test_run":{id},"version":{version},"stop":{stop}}}"#);
            frames.push(Frame { tag: line(id), text });
        }
        let text = format!(r#"{{"type":"run","run":{}}}"#, run.get());
        frames.push(Frame { tag: self::run(id), text: text.clone() });
        frames.push(Frame { tag: FEED.to_owned(), text });
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use estop_protocol::heartbeat::StopOrder;
    use estop_protocol::run::Cause;
    use estop_protocol::watch::Message;
    use serde_json::{Value, json};

    fn told(runs: &Value) -> Vec<(String, Message<Value>)> {
        let frames = frames(&runs.to_string(), 10);
        frames.into_iter().map(|f| (f.tag, serde_json::from_str(&f.text).expect("a message"))).collect()
    }

    #[test]
    fn a_change_is_told_to_who_watches_the_run_or_the_project() {
        let run = json!({"id": 7, "version": 1, "state": "queued"});
        let message = Message::Run { run: run.clone() };
        let changed = json!([{"id": 7, "version": 1, "run": run, "stop": null}]);
        assert_eq!(told(&changed), [("run:7".to_owned(), message.clone()), ("feed".to_owned(), message)]);
    }

    #[test]
    fn runners_hear_the_order_with_the_grace_and_nothing_else() {
        let stop = json!({
            "reason": "why", "cause": "user", "by": "ada", "at": "2026-11-24T09:30:00.000Z", "lease_lost": false, "kill": true,
        });
        let (tag, message) = told(&json!([{"id": 7, "version": 3, "run": {}, "stop": stop}])).swap_remove(0);
        let (reason, at) = (Some("why".to_owned()), Timestamp::parse("2026-11-24T09:30:00Z").expect("a moment"));
        let (cause, by) = (Cause::User, "ada".to_owned());
        let stop = StopOrder { reason, cause, by, at, grace_seconds: 10, lease_lost: false, kill: true };
        assert_eq!((tag.as_str(), message), ("line:7", Message::Stop { test_run: 7, version: 3, stop }));
    }

    #[test]
    fn a_step_is_told_to_who_watches_the_run_and_to_nobody_else() {
        let at = Timestamp(1_800_000_000_000);
        let frames: Value = serde_json::from_str(&step(7, 2, StopStep::Sigterm, at)).expect("JSON");
        let message = Message::Step { test_run: 7, shard: 2, step: StopStep::Sigterm, at };
        assert_eq!(told(&frames), [("run:7".to_owned(), message)]);
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        for odd in ["", "{}", "[1, {}, null]", r#"[{"id": "7"}]"#] {
            assert_eq!(frames(odd, 10), []);
        }
    }

    #[test]
    fn a_tag_names_its_key_and_the_end_of_its_session() {
        assert_eq!((key_of(&key(5)), key_of(&run(5)), key_of("key:x")), (Some(5), None, None));
        assert_eq!((end_of(&ends(Timestamp(5))), end_of(&key(5))), (Some(Timestamp(5)), None));
    }
}
