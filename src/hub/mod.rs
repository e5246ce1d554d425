//! What the hub tells whom. A project's hub holds the WebSockets of its watchers and of its runners; `edge` has its class.
//!
//! It only tells. Whether a run is cancelled is decided in the database, and each message says what was decided there: one
//! that is lost, late or doubled changes nothing. What a runner says on its line of how far its tests are goes to those who
//! watch, and is written nowhere.

use estop_protocol::heartbeat::StopStep;
use estop_protocol::limits::{LINE_BYTES, TITLE_CHARS};
use estop_protocol::time::Timestamp;
use estop_protocol::watch::{REPORT_SECONDS, Report};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::buckets::Bucket;
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

/// The tag of every line.
pub const LINES: &str = "lines";

/// The tag of the line of a shard of this number.
pub fn shard(number: i64) -> String {
    format!("shard:{number}")
}

/// What a line says once somebody watches its run.
pub const WATCHED: &str = r#"{"type":"watched","watched":true}"#;

/// What a line says when nobody does who could hear a report.
pub const UNWATCHED: &str = r#"{"type":"watched","watched":false}"#;

/// The tag of the lines whose runs a new socket with these tags watches, if it is a watcher's.
pub fn watched_by(tags: &[&str]) -> Option<String> {
    tags.iter().find_map(|tag| match (*tag, tag.strip_prefix("run:")) {
        (FEED, _) => Some(LINES.to_owned()),
        (_, Some(run)) => Some(format!("line:{run}")),
        _ => None,
    })
}

/// The tags of those who watch the run of a new line with these tags, if it is one.
pub fn watchers_of(tags: &[&str]) -> Option<[String; 2]> {
    let run = tags.iter().find_map(|tag| tag.strip_prefix("line:"))?;
    Some([format!("run:{run}"), FEED.to_owned()])
}

/// The tag of a socket that a key has opened.
pub fn key(id: i64) -> String {
    format!("key:{id}")
}

/// The key that a tag names.
pub fn key_of(tag: &str) -> Option<i64> {
    tag.strip_prefix("key:")?.parse().ok()
}

/// The tag of a socket of a key in this bucket.
pub fn bucket(bucket: Bucket) -> String {
    format!("bucket:{}", bucket.as_str())
}

/// The bucket that a tag names.
pub fn bucket_of(tag: &str) -> Option<Bucket> {
    tag.strip_prefix("bucket:").and_then(Bucket::parse)
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

/// How many reports a line takes at once. A connection that stood still for so long is dead.
const REPORTS_AT_ONCE: i64 = 10;

/// Whether a line may report now (ms), and what it has used up then; `used` is what it had used up before: the moment up to
/// which its reports reach at one each [`REPORT_SECONDS`].
pub fn may_report(used: i64, now: i64) -> Option<i64> {
    let each = REPORT_SECONDS * 1000;
    let used = used.max(now).saturating_add(each);
    (used - now <= REPORTS_AT_ONCE * each).then_some(used)
}

/// What came on the line with these tags, for those who watch; nothing if it is no line, or not what a line takes.
pub fn report(tags: &[String], text: &str, at: Timestamp) -> Option<[Frame; 2]> {
    let number = |prefix: &str| tags.iter().find_map(|tag| tag.strip_prefix(prefix)?.parse::<i64>().ok());
    let (id, shard) = (number("line:")?, number("shard:")?);
    if text.len() > LINE_BYTES {
        return None;
    }
    let Report { progress, .. } = serde_json::from_str(text).ok()?;
    let current = progress.current.as_deref().unwrap_or_default();
    if current.chars().count() > TITLE_CHARS || current.chars().any(char::is_control) {
        return None;
    }
    // Written anew, so that nobody hears what this does not know.
    let progress = serde_json::to_string(&progress).ok()?;
    let text = format!(r#"{{"type":"progress","test_run":{id},"shard":{shard},"progress":{progress},"at":"{at}"}}"#);
    Some([run(id), FEED.to_owned()].map(|tag| Frame { tag, text: text.clone() }))
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
    use estop_protocol::show::RunProgress;
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

    fn tags(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn a_report_goes_to_who_watches_the_run_or_the_project() {
        let at = Timestamp(1_800_000_000_000);
        let text =
            r#"{"type":"progress","progress":{"total":412,"done":170.0,"failed":2,"current":"checkout › pays"}}"#;
        let frames = report(&tags(&["lines", "line:7", "shard:2"]), text, at).expect("a report");
        let current = Some("checkout › pays".to_owned());
        let progress = RunProgress { total: Some(412), done: 170, failed: 2, current, ..RunProgress::default() };
        let expected = Message::Progress { test_run: 7, shard: 2, progress, at };
        for (frame, tag) in frames.iter().zip(["run:7", "feed"]) {
            let message: Message<Value> = serde_json::from_str(&frame.text).expect("a message");
            assert_eq!((frame.tag.as_str(), message), (tag, expected.clone()));
        }
    }

    #[test]
    fn nothing_else_is_taken_and_from_nobody_else() {
        let good = r#"{"type":"progress","progress":{"done":1}}"#;
        let line = tags(&["lines", "line:7", "shard:2"]);
        assert!(report(&line, good, Timestamp(0)).is_some());
        for others in [&["run:7", "key:1"][..], &["feed", "key:1"], &["line:7"], &["line:x", "shard:2"], &[]] {
            assert_eq!(report(&tags(others), good, Timestamp(0)), None, "{others:?}");
        }
        let long = format!(r#"{{"type":"progress","progress":{{"current":"{}"}}}}"#, "x".repeat(TITLE_CHARS + 1));
        let padded = format!("{}{good}", " ".repeat(LINE_BYTES));
        for odd in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"type":"stop"}"#,
            r#"{"type":"run","run":{}}"#,
            r#"{"type":"progress"}"#,
            r#"{"type":"progress","progress":{"done":-1}}"#,
            r#"{"type":"progress","progress":{"done":1.5}}"#,
            r#"{"type":"progress","progress":{"done":4294967296}}"#,
            r#"{"type":"progress","progress":{"current":"a\u0007"}}"#,
            r#"{"type":"progress","progress":{"current":"\ud800"}}"#,
            r#"{"type":"progress","progress":{"more":1}}"#,
            &"[".repeat(4000),
            &long,
            &padded,
        ] {
            assert_eq!(report(&line, odd, Timestamp(0)), None, "{odd}");
        }
    }

    #[test]
    fn a_line_reports_at_its_rate_and_may_catch_up_but_not_flood() {
        let mut used = 0;
        for n in 0..1000 {
            used = may_report(used, 1_000_000 + n * 4000).expect("one in four seconds");
        }
        let now = 10_000_000;
        let mut taken = 0;
        while let Some(more) = may_report(used, now) {
            (used, taken) = (more, taken + 1);
        }
        assert_eq!(taken, REPORTS_AT_ONCE, "as many as a connection that stood still may bring");
        assert_eq!((may_report(used, now + 3999), may_report(used, now + 4000).is_some()), (None, true));
        assert!(may_report(i64::MAX, 0).is_none() && may_report(i64::MIN, 0).is_some());
    }

    #[test]
    fn who_begins_to_watch_is_made_known_to_the_lines_of_what_he_watches() {
        assert_eq!(watched_by(&["run:7", "key:1"]).as_deref(), Some("line:7"));
        assert_eq!(watched_by(&["feed", "key:1"]).as_deref(), Some("lines"));
        assert_eq!(watched_by(&["lines", "line:7", "shard:1"]), None);
        assert_eq!(watchers_of(&["lines", "line:7", "shard:1"]), Some(["run:7".to_owned(), "feed".to_owned()]));
        assert_eq!(watchers_of(&["run:7", "key:1"]), None);
        for (text, watched) in [(WATCHED, true), (UNWATCHED, false)] {
            assert_eq!(serde_json::from_str::<Message<Value>>(text).ok(), Some(Message::Watched { watched }));
        }
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
