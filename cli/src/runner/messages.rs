//! What `estop run` and `estop wait` say about a run. Text from the service is sanitized here.

use std::time::Duration;

use estop_protocol::heartbeat::StopOrder;
use estop_protocol::run::{ConfirmedStop, RunResult};
use estop_protocol::show::{Cancel, TestRun};
use estop_protocol::time::Timestamp;

use super::supervisor::StopReason;
use crate::terminal::sanitize;

pub fn registered(id: i64) -> String {
    format!("test run {id} is registered. Cancel it with: estop cancel {id}")
}

/// Heartbeats fail. `lease_left`: how long the tests may go on all the same, if not for as long as they like.
pub fn service_down(message: &str, lease_left: Option<Duration>) -> String {
    let until =
        lease_left.map(|left| format!(" until the lease runs out, in {} s", left.as_secs())).unwrap_or_default();
    format!("{message}. The tests go on{until}; a cancel reaches them once the service is back")
}

pub const TERMINATING: &str = "still running; sending SIGTERM";
pub const KILLING: &str = "sending SIGKILL";

/// estop's process id is what SIGCONT must go to.
pub fn suspended(estop: i32) -> String {
    format!("the tests are suspended, and heartbeats keep the run alive. Continue them with: kill -CONT {estop}")
}

/// `None`: the tests ran without the service.
pub fn estop_died(id: Option<i64>) -> String {
    let of = id.map(|id| format!(" of test run {id}")).unwrap_or_default();
    format!("estop was killed; its guard stops the tests{of}")
}

pub fn not_recorded(id: i64, why: &str) -> String {
    let why = why.trim_end_matches('.');
    format!("{why}. The interruption of test run {id} could not be recorded; the sweeper cancels it")
}

pub fn ran_out_before_start(id: i64) -> String {
    format!(
        "the lease of test run {id} ran out before the command could start, and the run is --exclusive. Start it again"
    )
}

pub fn cancelled(id: i64, cancel: &Cancel) -> String {
    who_when_why(id, &cancel.by, cancel.at, cancel.reason.as_deref())
}

pub fn stop_reason(id: i64, reason: &StopReason) -> String {
    match reason {
        StopReason::Ordered(StopOrder { reason, by, at, lease_lost, .. }) => {
            let fenced = if *lease_lost { " Another runner may hold the environment." } else { "" };
            format!("{}{fenced}", who_when_why(id, by, *at, reason.as_deref()))
        }
        StopReason::LeaseRanOut => format!(
            "the lease of test run {id} ran out before it could be renewed, and the run is --exclusive: another runner \
             may hold the environment. Stopping the tests."
        ),
        StopReason::EstopDied => estop_died(Some(id)),
        StopReason::LeaseLost(message) => {
            let message = sanitize(message);
            format!("test run {id} lost its lease: another runner may hold the environment. {message}")
                .trim_end()
                .to_owned()
        }
    }
}

fn who_when_why(id: i64, by: &str, at: Timestamp, reason: Option<&str>) -> String {
    let by = sanitize(by);
    let reason = reason.map_or_else(|| "no reason given".to_owned(), |reason| sanitize(reason.trim()));
    let full_stop = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{by} cancelled test run {id} at {at}: {reason}{full_stop}")
}

/// How a run that is over ended.
pub fn ended(run: &TestRun) -> String {
    let id = run.id;
    match (run.result, run.error_code, &run.cancel) {
        (_, _, Some(cancel)) => cancelled(id, cancel),
        (Some(RunResult::Passed), ..) => format!("test run {id} passed."),
        (_, Some(code), _) => format!("test run {id} ended in an error: {}.", code.name()),
        _ => format!("test run {id} failed."),
    }
}

pub fn stopped(id: i64, stop: ConfirmedStop) -> String {
    match stop {
        ConfirmedStop::Graceful => format!("test run {id} stopped gracefully."),
        ConfirmedStop::Terminated => format!("test run {id} stopped on SIGTERM."),
        ConfirmedStop::Killed => format!("test run {id} had to be killed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use estop_protocol::run::Cause;

    fn cancel(reason: Option<&str>) -> Cancel {
        Cancel { reason: reason.map(str::to_owned), cause: Cause::User, by: "ada".into(), at: Timestamp(0) }
    }

    #[test]
    fn a_cancel_is_reported_with_who_when_and_why() {
        assert_eq!(
            cancelled(7, &cancel(Some("wrong branch"))),
            "ada cancelled test run 7 at 1970-01-01T00:00:00.000Z: wrong branch."
        );
        assert_eq!(
            cancelled(7, &cancel(None)),
            "ada cancelled test run 7 at 1970-01-01T00:00:00.000Z: no reason given."
        );
    }

    #[test]
    fn a_stop_order_says_whether_the_lease_was_lost() {
        let message = |lease_lost| {
            let order = StopOrder {
                reason: Some("no heartbeat".into()),
                cause: Cause::Stale,
                by: "system:sweeper".into(),
                at: Timestamp(0),
                grace_seconds: 10,
                lease_lost,
            };
            stop_reason(7, &StopReason::Ordered(order))
        };
        let cancelled = "system:sweeper cancelled test run 7 at 1970-01-01T00:00:00.000Z: no heartbeat.";
        assert_eq!(message(false), cancelled);
        assert_eq!(message(true), format!("{cancelled} Another runner may hold the environment."));
    }

    #[test]
    fn an_outage_says_how_long_the_tests_go_on() {
        let tail = "a cancel reaches them once the service is back";
        assert_eq!(service_down("no response", None), format!("no response. The tests go on; {tail}"));
        assert_eq!(
            service_down("no response", Some(Duration::from_millis(87_900))),
            format!("no response. The tests go on until the lease runs out, in 87 s; {tail}")
        );
    }

    #[test]
    fn a_stop_is_reported_with_what_it_took() {
        for (stop, message) in [
            (ConfirmedStop::Graceful, "test run 7 stopped gracefully."),
            (ConfirmedStop::Terminated, "test run 7 stopped on SIGTERM."),
            (ConfirmedStop::Killed, "test run 7 had to be killed."),
        ] {
            assert_eq!(stopped(7, stop), message);
        }
    }

    #[test]
    fn a_reason_cannot_control_the_terminal() {
        let message = cancelled(7, &cancel(Some("\u{1b}[2Jhello\nworld")));
        assert!(message.ends_with(": \\u{1b}[2Jhello\\nworld."), "{message}");
    }
}
