//! `estop show`.

use estop_protocol::envelope::Data;
use estop_protocol::events::Events;
use estop_protocol::failures::{Failures, ListedFailure};
use estop_protocol::limits;
use estop_protocol::run::{ErrorCode, RunResult};
use estop_protocol::show::{LateResult, Shard, Shown, TestRun};

use super::RETRY_FOR;
use crate::args::ShowArgs;
use crate::exit::Exit;
use crate::retry;
use crate::runner::messages;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize_json};

pub fn show(args: &ShowArgs, service: &Service) -> Result<Exit, Failure> {
    let path = format!("/api/test-runs/{}", args.id);
    let response = retry::send(service, &Call::new("GET", path.clone()), RETRY_FOR)?;
    let run = response.read::<Data<Shown>>()?.data.test_run;
    if args.json {
        terminal::print(sanitize_json(&response.text));
        return Ok(Exit::Done);
    }
    let events = retry::send(service, &Call::new("GET", format!("{path}/events")), RETRY_FOR)?;
    let events = events.read::<Data<Events>>()?.data.events;
    print_details(&run);
    if run.total_shards.is_some_and(|total| total > 1) {
        terminal::print("");
        print_shards(&run);
    }
    if has_failures(&run) {
        let failures = retry::send(service, &Call::new("GET", format!("{path}/failures")), RETRY_FOR)?;
        print_failures(&failures.read::<Data<Failures>>()?.data.failures);
    }
    terminal::print("");
    let mut table = table::new(&["AT", "STATE", "WHAT", "BY", "WHY"]);
    for event in &events {
        table.add_row([
            table::time(event.at),
            table::text(event.to.name()),
            table::text(&event.cause),
            table::text(&event.by),
            table::optional(event.reason.as_deref()),
        ]);
    }
    table::print(&table);
    Ok(Exit::Done)
}

fn print_details(run: &TestRun) {
    let mut table = table::new(&[]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.add_row([table::name(name), table::text(value)]);
        }
    };
    row("id", Some(run.id.to_string()));
    row("environment", Some(format!("{} ({})", run.environment.slug, run.environment.name)));
    row("branch", run.test_run_branch.clone());
    if let Some(build) = &run.build {
        row("commit", build.commit.clone());
        row("commit url", build.commit_url.clone());
        row("build", build.url.clone());
        row("version", build.version.clone());
    }
    row("actor", run.github_actor.clone());
    row("tags", (!run.tags.is_empty()).then(|| run.tags.join(", ")));
    row("metadata", run.metadata.as_ref().and_then(|m| serde_json::to_string(m).ok()));
    row("group", run.group.as_ref().map(|group| format!("{group}, attempt {}", run.attempt)));
    if let Some(total) = run.total_shards.filter(|total| *total > 1) {
        row("shards", Some(format!("{} of {total} finished", run.finished_shards)));
    } else if let Some(shard) = run.shards().first() {
        row("runner", shard.runner.clone());
        row("progress", shard.progress.as_ref().map(table::progress));
        row("lease until", shard.lease.as_ref().map(|lease| lease.expires_at.to_string()));
        row("late result", shard.late_result.as_ref().map(late_result));
    }
    row("fail fast", run.fail_fast.map(|failed| format!("once {failed} tests have failed")));
    if let Some(counts) = &run.counts {
        let text = format!(
            "{} tests: {} passed, {} failed, {} skipped, {} flaky",
            counts.total, counts.success, counts.failed, counts.skipped, counts.flaky
        );
        row("counts", Some(text));
    }
    if let Some(cancel) = &run.cancel {
        row("cancelled by", Some(format!("{} at {}", cancel.by, cancel.at)));
        row("reason", Some(cancel.reason.clone().unwrap_or_else(|| "none given".to_owned())));
    }
    row(
        "kill ordered by",
        run.stop.as_ref().and_then(|stop| stop.kill.as_ref()).map(|kill| format!("{} at {}", kill.by, kill.at)),
    );
    row("stop confirmed", messages::stop_confirmed(run));
    row("archived", run.archived.then(|| "yes: no list has it, and it never changes".to_owned()));
    row("superseded by", run.superseded_by.map(|id| id.to_string()));
    table.add_row([table::name("state"), table::state(run)]);
    table::print(&table);
}

/// A line for each shard that a runner has claimed, and one for those that none has.
fn print_shards(run: &TestRun) {
    let tells_progress = run.shards().iter().any(|shard| shard.progress.is_some());
    let headings = ["SHARD", "STATE", "RUNNER", "SINCE", "RESULT", "PROGRESS"];
    let columns = if tells_progress { headings.len() } else { headings.len() - 1 };
    let mut table = table::new(headings.get(..columns).unwrap_or(&headings));
    for shard in run.shards() {
        let (state, result) = match (&shard.stop, &shard.late_result) {
            (Some(stop), late) => (stop.outcome.name(), late.as_ref().map(late_result)),
            (None, _) => (shard.state.name(), shard_result(shard)),
        };
        let cells = [
            table::text(shard.shard.to_string()),
            table::text(state),
            table::optional(shard.runner.as_deref()),
            table::time(shard.ended_at.unwrap_or(shard.started_at)),
            table::optional(result.as_deref()),
            table::optional(shard.progress.as_ref().map(table::progress).as_deref()),
        ];
        table.add_row(cells.into_iter().take(columns));
    }
    table::print(&table);
    let claimed = i64::try_from(run.shards().len()).unwrap_or(i64::MAX);
    let unclaimed = run.total_shards.unwrap_or(1).saturating_sub(claimed);
    if unclaimed > 0 {
        terminal::print(format!("{unclaimed} of its shards no runner has claimed."));
    }
}

/// Whether its runners have named tests that failed, or may have.
fn has_failures(run: &TestRun) -> bool {
    run.shards().iter().any(|shard| shard.progress.as_ref().is_some_and(|progress| progress.failed > 0))
}

fn print_failures(failures: &[ListedFailure]) {
    if failures.is_empty() {
        return;
    }
    terminal::print("");
    let mut table = table::new(&["FAILED", "WHERE", "WHY"]);
    for ListedFailure { title, file, line, message, .. } in failures {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = file.as_ref().map(|file| format!("{file}{line}"));
        // The rest is on the page.
        let why = message.as_deref().and_then(|message| message.lines().find(|line| !line.trim().is_empty()));
        table.add_row([table::text(title), table::optional(place.as_deref()), table::optional(why.map(str::trim))]);
    }
    table::print(&table);
    if failures.len() >= limits::FAILURES {
        terminal::print(format!("These are the first {}.", limits::FAILURES));
    }
}

fn shard_result(shard: &Shard) -> Option<String> {
    let carried = if shard.carried { " in an earlier attempt" } else { "" };
    Some(format!("{}{carried}", ending(shard.result, shard.error_code)?))
}

fn ending(result: Option<RunResult>, error_code: Option<ErrorCode>) -> Option<&'static str> {
    result.map(RunResult::name).or(error_code.map(ErrorCode::name))
}

fn late_result(late: &LateResult) -> String {
    let ending = ending(late.result, late.error_code).unwrap_or_default();
    format!("{ending}, said at {}, after it had been given up as lost", late.at)
}
