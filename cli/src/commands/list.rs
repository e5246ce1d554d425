//! `estop list`.

use std::process::{Command, Stdio};

use estop_protocol::list::RunList;
use estop_protocol::show::TestRun;
use estop_protocol::time::Timestamp;

use super::wait::is_stopping;
use super::{RETRY_FOR, query, who_and_why};
use crate::args::ListArgs;
use crate::clock;
use crate::exit::Exit;
use crate::retry;
use crate::runner::ci;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize_json};

/// How many windows of the history a list of a rare kind looks through before it leaves the rest to the next page.
const WINDOWS: usize = 50;

pub fn list(args: &ListArgs, service: &Service) -> Result<Exit, Failure> {
    let args = &match args.mine {
        true => ListArgs { actor: Some(me()?), ..args.clone() },
        false => args.clone(),
    };
    let (text, mut list) = page(args, args.before, service)?;
    if args.json {
        terminal::print(sanitize_json(&text));
        return Ok(Exit::Done);
    }
    // The service looks at a window of the history at a time, so a page of rare runs comes in several.
    for _ in 1..WINDOWS {
        let wanted = list.pagination.per_page;
        let have = i64::try_from(list.data.test_runs.items.len()).unwrap_or(wanted);
        let Some(before) = list.pagination.next_before.filter(|_| have < wanted && args.page.is_none()) else { break };
        let (_, next) = page(&ListArgs { per_page: Some(wanted - have), ..args.clone() }, Some(before), service)?;
        list.data.test_runs.items.extend(next.data.test_runs.items);
        list.pagination.next_before = next.pagination.next_before;
    }
    let runs = &list.data.test_runs.items;
    if runs.is_empty() && list.pagination.next_before.is_none() {
        terminal::info("no test run matches");
        tell_archived(args, &list);
        return Ok(Exit::Done);
    }
    let now = clock::date();
    let mut table = table::new(&["ID", "STATE", "ENVIRONMENT", "BRANCH", "AGE", "DURATION", "ACTOR", "WHY"]);
    for run in runs {
        table.add_row([
            table::id(run.id),
            table::state(run),
            table::text(&run.environment.slug),
            table::optional(run.test_run_branch.as_deref()),
            table::age(now.since(run.created_at) / 1000),
            table::optional(duration(run, now).as_deref()),
            table::text(run.github_actor.as_ref().unwrap_or(&run.created_by)),
            table::optional(run.cancel.as_ref().map(who_and_why).as_deref()),
        ]);
    }
    if !runs.is_empty() {
        table::print(&table);
    }
    if let Some(before) = list.pagination.next_before {
        terminal::info(format!("next page: estop list --before {before} (with the same filters)"));
    } else {
        tell_archived(args, &list);
    }
    Ok(Exit::Done)
}

/// Says at the end of the list that older runs are archived, unless those would not match, as they are over.
fn tell_archived(args: &ListArgs, list: &RunList) {
    let only_open = !args.state.is_empty() && args.state.iter().all(|state| !state.is_over());
    if let Some(id) = list.data.archived_through.filter(|_| !only_open) {
        terminal::info(format!("runs up to {id} are archived: estop show {id}, or estop export for all of them"));
    }
}

/// One page: its text and what it says.
fn page(args: &ListArgs, before: Option<i64>, service: &Service) -> Result<(String, RunList), Failure> {
    let response = retry::send(service, &Call::new("GET", path(args, before)), RETRY_FOR)?;
    let list = response.read()?;
    Ok((response.text, list))
}

fn path(args: &ListArgs, before: Option<i64>) -> String {
    let ids: Vec<String> = args.environment_id.iter().map(i64::to_string).collect();
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    let mut parameters: Vec<(String, Option<String>)> = [
        ("actor", args.actor.clone()),
        ("branch", args.branch.clone()),
        ("result", args.result.map(|result| result.name().to_owned())),
        ("environment_ids", (!ids.is_empty()).then(|| ids.join(","))),
        ("cancelled_by", args.cancelled_by.clone()),
        ("cause", args.cause.map(|cause| cause.name().to_owned())),
        ("stop", args.stop.map(|outcome| outcome.name().to_owned())),
        ("interval_in_days", number(args.days)),
        ("created_from", args.since.map(|since| since.to_string())),
        ("created_to", args.until.map(|until| until.to_string())),
        ("page", number(args.page)),
        ("per_page", number(args.per_page)),
        ("before", number(before)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut repeat = |name: String, value: &str| parameters.push((name, Some(value.to_owned())));
    args.state.iter().for_each(|state| repeat("state".to_owned(), state.name()));
    args.environment.iter().for_each(|slug| repeat("environment".to_owned(), slug));
    args.tag.iter().for_each(|tag| repeat("tag".to_owned(), tag));
    args.metadata.iter().for_each(|(name, value)| repeat(format!("metadata.{name}"), value));
    query("/api/test-runs", parameters)
}

/// Who sets off runs here: in a CI job whoever set off that, elsewhere whom git knows.
fn me() -> Result<String, Failure> {
    let of_git = |name: &str| {
        let output = Command::new("git").args(["config", "--get", name]).stderr(Stdio::null()).output().ok()?;
        let value = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    let of_ci = ci::context(&std::env::vars().collect()).actor;
    of_ci.or_else(|| of_git("github.user")).or_else(|| of_git("user.email")).ok_or_else(|| {
        let message = "nobody knows who you are: set git's github.user (or user.email), or give --actor NAME";
        Failure::new(Exit::Usage, message)
    })
}

/// How long a run took from its first claim to its end, or how long it has taken so far.
fn duration(run: &TestRun, now: Timestamp) -> Option<String> {
    let cancelled = run.cancel.as_ref().filter(|_| !is_stopping(run)).map(|cancel| cancel.at);
    let stopped = run.stop.as_ref().and_then(|stop| stop.confirmed_at);
    let end = run.ended_at.or(stopped).or(cancelled).unwrap_or(now);
    Some(table::span(end.since(run.started_at?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    #[test]
    fn filters_become_a_query() {
        let path = |flags: &[&str]| {
            let line = [&["estop", "list"], flags].concat();
            let crate::args::Command::List(args) = Cli::try_parse_from(line).expect("a command line").command else {
                panic!("not list")
            };
            path(&args, args.before)
        };
        assert_eq!(path(&[]), "/api/test-runs");
        assert_eq!(
            path(&["--branch", "feat/x y&z", "--days", "7", "--environment-id", "1", "--environment-id", "2"]),
            "/api/test-runs?branch=feat%2Fx+y%26z&environment_ids=1%2C2&interval_in_days=7"
        );
        assert_eq!(
            path(&["--state", "ended", "--result", "failed", "--page", "2", "--per-page", "50"]),
            "/api/test-runs?result=failed&page=2&per_page=50&state=ended"
        );
        let flags = "--actor ada -e staging -e eu --state queued --state started --tag a&b --metadata ci=7 --cause stale \
                     --cancelled-by system:sweeper --stop lost --since 2026-11-29 --until 2026-11-30T09:30:00Z";
        assert_eq!(
            path(&flags.split_whitespace().collect::<Vec<_>>()),
            "/api/test-runs?actor=ada&cancelled_by=system%3Asweeper&cause=stale&stop=lost\
             &created_from=2026-11-29T00%3A00%3A00.000Z&created_to=2026-11-30T09%3A30%3A00.000Z\
             &state=queued&state=started&environment=staging&environment=eu&tag=a%26b&metadata.ci=7"
        );
        assert_eq!(path(&["--before", "9"]), "/api/test-runs?before=9");
    }
}
