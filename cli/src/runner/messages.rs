//! What estop says about a run. Text from the service is sanitized here.

use std::path::Path;
use std::time::Duration;

use estop_protocol::heartbeat::StopOrder;
use estop_protocol::run::{ConfirmedStop, RunResult, State, StopOutcome};
use estop_protocol::show::{Cancel, Shard, TestRun};
use estop_protocol::time::Timestamp;

use super::supervisor::StopReason;
use crate::terminal::sanitize;

pub fn joined(id: i64, shard: i64, total: i64) -> String {
    format!("shard {shard} of {total} joins test run {id}. Cancel it with: estop cancel {id}")
}

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

/// How the runner of a cancelled run stopped, and how long that took.
pub fn how_it_stopped(run: &TestRun) -> String {
    let id = run.id;
    let Some(stop) = &run.stop else { return ended(run) };
    let took = stop_duration(run).map(|took| format!(" in {took}")).unwrap_or_default();
    match stop.outcome {
        StopOutcome::NeverStarted if run.started_at.is_some() => {
            format!("no tests of test run {id} were running when it was cancelled.")
        }
        StopOutcome::NeverStarted => format!("test run {id} never started."),
        StopOutcome::Stopping => format!("test run {id} is still stopping."),
        StopOutcome::Graceful => format!("test run {id} stopped gracefully{took}."),
        StopOutcome::Terminated => format!("test run {id} stopped on SIGTERM{took}."),
        StopOutcome::Killed => format!("test run {id} stopped on SIGKILL{took}."),
        StopOutcome::Lost => format!(
            "the runner of test run {id} was lost: nobody knows whether its tests have stopped. Check the machine{}.",
            lost_runners(run)
        ),
    }
}

/// The names of the runners that were lost, as far as they gave one: ` ci-1, ci-2`.
fn lost_runners(run: &TestRun) -> String {
    let is_lost = |shard: &&Shard| shard.stop.as_ref().is_some_and(|stop| stop.outcome == StopOutcome::Lost);
    let names: Vec<String> =
        run.shards().iter().filter(is_lost).filter_map(|shard| Some(sanitize(shard.runner.as_ref()?))).collect();
    if names.is_empty() { String::new() } else { format!(" {}", names.join(", ")) }
}

/// When the runner confirmed that it has stopped, and how long it took, if there was anything to stop.
pub fn stop_confirmed(run: &TestRun) -> Option<String> {
    let at = run.stop.as_ref()?.confirmed_at?;
    Some(stop_duration(run).map_or_else(|| at.to_string(), |took| format!("{at}, {took} after the cancel")))
}

/// From the cancel to the confirmed stop, by the service's clock.
fn stop_duration(run: &TestRun) -> Option<String> {
    let stop = run.stop.as_ref().filter(|stop| stop.outcome != StopOutcome::NeverStarted)?;
    let tenths = stop.confirmed_at?.since(run.cancel.as_ref()?.at).max(0).saturating_add(50) / 100;
    Some(format!("{}.{} s", tenths / 10, tenths % 10))
}

/// A wait came to its end before the run did.
pub fn timed_out(run: &TestRun) -> String {
    let id = run.id;
    match run.state {
        State::Cancelled => format!(
            "timed out: test run {id} is cancelled, and its runner is still stopping. Wait on with `estop wait {id} \
             --stopped`, or kill its tests with `estop kill {id}`"
        ),
        state => format!(
            "timed out: test run {id} is {}. Wait on with a longer --timeout, or cancel it with `estop cancel {id}`",
            state.name()
        ),
    }
}

/// The sweeper had taken the runner for lost, and then it reported after all.
pub fn late_result_kept(id: i64, result: &str) -> String {
    format!("test run {id}: its result ({result}) is kept in the record beside the cancel.")
}

/// The files by which COMMAND and estop tell each other of tests and stops cannot be written.
pub fn no_exchange(error: &std::io::Error) -> String {
    format!("the tests cannot tell how far they are, nor learn why they are stopped: {error}. Check TMPDIR")
}

/// The service does not answer the finish.
pub fn finish_retries(error: &str, within: Duration) -> String {
    format!("{error}; retrying for up to {} s to record the result. Ctrl-C ends that", within.as_secs())
}

/// The result could not be recorded, and is in a file.
pub fn finish_kept(id: i64, result: &str, why: &str, path: &Path) -> String {
    format!(
        "{}. The result of test run {id} ({result}) could not be recorded. Send it later with: estop finish --from {}",
        why.trim_end_matches('.'),
        sanitize(&shell_word(&path.display().to_string()))
    )
}

/// The result could not be recorded, and not even be kept.
pub fn finish_not_kept(id: i64, result: &str, why: &str, error: &str) -> String {
    format!(
        "{}. The result of test run {id} ({result}) could not be recorded, nor kept in a file: {error}. Give --finish-file \
         a directory that estop can write to",
        why.trim_end_matches('.')
    )
}

/// A text as one word of a command to paste.
fn shell_word(text: &str) -> String {
    if text.chars().all(|c| c.is_alphanumeric() || "/._-+:@,".contains(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
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
    use serde_json::json;

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
                kill: false,
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

    /// Cancelled at 09:30:00.
    fn run(state: &str, outcome: &str, confirmed_at: Option<&str>) -> TestRun {
        let run = json!({
            "id": 7, "state": state, "environment": {"id": 1, "name": "Staging", "slug": "staging"}, "tags": [],
            "created_at": "2026-11-24T09:29:00.000Z", "created_by": "ci", "protected": false,
            "cancel": {"reason": null, "cause": "user", "by": "ada", "at": "2026-11-24T09:30:00.000Z"},
            "stop": {"outcome": outcome, "confirmed_at": confirmed_at},
            "shards": [{
                "shard": 1, "state": "cancelled", "runner": "r1", "started_at": "2026-11-24T09:29:00.000Z", "started_by": "ci",
                "carried": false, "stop": {"outcome": outcome, "confirmed_at": confirmed_at},
            }],
        });
        serde_json::from_value(run).expect("a run")
    }

    #[test]
    fn a_closed_stop_record_says_how_the_stop_went_and_how_long_it_took() {
        let at = |time: &str| Some(format!("2026-11-24T09:{time}Z"));
        for (outcome, confirmed_at, message) in [
            ("graceful", at("30:02.149"), "test run 7 stopped gracefully in 2.1 s."),
            ("graceful", at("30:00.000"), "test run 7 stopped gracefully in 0.0 s."),
            ("terminated", at("30:09.951"), "test run 7 stopped on SIGTERM in 10.0 s."),
            ("killed", at("31:15.000"), "test run 7 stopped on SIGKILL in 75.0 s."),
            ("killed", None, "test run 7 stopped on SIGKILL."),
            ("never_started", at("30:00.000"), "test run 7 never started."),
            (
                "lost",
                None,
                "the runner of test run 7 was lost: nobody knows whether its tests have stopped. Check the machine r1.",
            ),
        ] {
            assert_eq!(how_it_stopped(&run("cancelled", outcome, confirmed_at.as_deref())), message);
        }
        let confirmed = |outcome: &str, at: Option<&str>| stop_confirmed(&run("cancelled", outcome, at));
        let at = "2026-11-24T09:30:02.149Z";
        assert_eq!(confirmed("graceful", Some(at)), Some(format!("{at}, 2.1 s after the cancel")));
        assert_eq!(confirmed("never_started", Some(at)).as_deref(), Some(at));
        assert_eq!(confirmed("stopping", None), None);
    }

    #[test]
    fn a_wait_that_times_out_says_what_can_be_done() {
        let message = timed_out(&run("cancelled", "stopping", None));
        assert!(message.contains("`estop wait 7 --stopped`") && message.contains("`estop kill 7`"), "{message}");
        let message = timed_out(&run("started", "stopping", None));
        assert!(message.contains("is started") && message.contains("`estop cancel 7`"), "{message}");
    }

    #[test]
    fn a_result_that_is_kept_in_a_file_comes_with_the_command_that_sends_it() {
        let message = |path: &str| finish_kept(7, "passed", "no response.", Path::new(path));
        assert_eq!(
            message("/a/estop-finish-7.json"),
            "no response. The result of test run 7 (passed) could not be recorded. Send it later with: \
             estop finish --from /a/estop-finish-7.json"
        );
        assert!(message("/it's here/f").ends_with(r" --from '/it'\''s here/f'"));
        assert!(message("/$(true)/f").ends_with(" --from '/$(true)/f'"));
    }

    #[test]
    fn a_reason_cannot_control_the_terminal() {
        let message = cancelled(7, &cancel(Some("\u{1b}[2Jhello\nworld")));
        assert!(message.ends_with(": \\u{1b}[2Jhello\\nworld."), "{message}");
    }
}
