//! What `estop run` says of a run: who stopped it, why and when. Texts from the service are made harmless here.

use estop_protocol::heartbeat::StopOrder;
use estop_protocol::run::{ConfirmedStop, RunResult};
use estop_protocol::show::{Cancel, TestRun};
use estop_protocol::time::Timestamp;

use super::supervisor::Why;
use crate::terminal::plain;

/// After the registration.
pub fn registered(id: i64) -> String {
    format!("test run {id} is registered. Stop it with: estop cancel {id}")
}

/// Who cancelled a run that never started, why and when.
pub fn cancelled(id: i64, cancel: &Cancel) -> String {
    sentence(id, &cancel.by, cancel.at, cancel.reason.as_deref())
}

/// Who stopped the run, why and when.
pub fn why(id: i64, why: &Why) -> String {
    match why {
        Why::Order(StopOrder { reason, by, at, lease_lost, .. }) => {
            let fenced = if *lease_lost { " Another may hold the environment." } else { "" };
            format!("{}{fenced}", sentence(id, by, *at, reason.as_deref()))
        }
        Why::Lost(said) => {
            let said = plain(said);
            format!("test run {id} has lost its lease: another may hold the environment. {said}").trim_end().to_owned()
        }
    }
}

fn sentence(id: i64, by: &str, at: Timestamp, reason: Option<&str>) -> String {
    let by = plain(by);
    let reason = reason.map_or_else(|| "no reason given".to_owned(), |reason| plain(reason.trim()));
    let end = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{by} cancelled test run {id} at {at}: {reason}{end}")
}

/// How a run that is over ended.
pub fn finished(run: &TestRun) -> String {
    let id = run.id;
    match (run.result, run.error_code, &run.cancel) {
        (_, _, Some(cancel)) => cancelled(id, cancel),
        (Some(RunResult::Passed), ..) => format!("test run {id} passed."),
        (_, Some(code), _) => format!("test run {id} broke ({}).", code.name()),
        _ => format!("test run {id} failed."),
    }
}

/// How a stop went.
pub fn stopped(id: i64, stopped: ConfirmedStop) -> String {
    match stopped {
        ConfirmedStop::Graceful => format!("test run {id} has stopped (graceful)."),
        ConfirmedStop::Killed => format!("test run {id} had to be killed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use estop_protocol::run::Cause;

    fn cancel(reason: Option<&str>, cause: Cause) -> Cancel {
        Cancel { reason: reason.map(str::to_owned), cause, by: "ada".into(), at: Timestamp(0) }
    }

    #[test]
    fn a_stop_is_told_with_who_why_and_when() {
        let user = cancelled(7, &cancel(Some("wrong branch"), Cause::User));
        assert_eq!(user, "ada cancelled test run 7 at 1970-01-01T00:00:00.000Z: wrong branch.");
        let silent = cancelled(7, &cancel(None, Cause::User));
        assert_eq!(silent, "ada cancelled test run 7 at 1970-01-01T00:00:00.000Z: no reason given.");
        let order = |lease_lost| StopOrder {
            reason: Some("no heartbeat".into()),
            cause: Cause::Stale,
            by: "system:sweeper".into(),
            at: Timestamp(0),
            grace_seconds: 10,
            lease_lost,
        };
        let told = |lease_lost| why(7, &Why::Order(order(lease_lost)));
        assert!(told(true).ends_with(
            "cancelled test run 7 at 1970-01-01T00:00:00.000Z: no heartbeat. Another may hold the environment."
        ));
        assert!(told(false).ends_with(": no heartbeat."));
    }

    #[test]
    fn a_reason_cannot_drive_the_terminal() {
        let told = cancelled(7, &cancel(Some("\u{1b}[2Jhello\nworld"), Cause::User));
        assert!(told.ends_with(": \\u{1b}[2Jhello\\nworld."), "{told}");
    }
}
