//! `estop cancels`: who stopped what.

use estop_protocol::cancels::{CancelList, ListedCancel};
use estop_protocol::limits::PER_PAGE;
use estop_protocol::run::StopOutcome;

use super::{RETRY_FOR, query};
use crate::args::CancelsArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize_json};

/// How many pages are asked for at most. A page of rare cancels may be short, or empty.
const PAGES: usize = 200;

pub fn cancels(args: &CancelsArgs, service: &Service) -> Result<Exit, Failure> {
    let mut list = page(args, args.limit, None, service)?;
    for _ in 1..PAGES {
        let left = args.limit - i64::try_from(list.data.cancels.len()).unwrap_or(i64::MAX);
        let Some(before) = list.pagination.next_before.take_if(|_| left > 0) else { break };
        let next = page(args, left, Some(before), service)?;
        list.data.cancels.extend(next.data.cancels);
        list.pagination.next_before = next.pagination.next_before;
    }
    if args.json {
        terminal::print(sanitize_json(&serde_json::to_string(&list).unwrap_or_default()));
        return Ok(Exit::Done);
    }
    if list.data.cancels.is_empty() {
        terminal::info("nothing was stopped");
        tell_archived(&list);
        return Ok(Exit::Done);
    }
    let mut table = table::new(&["WHEN", "WHO", "RUN", "BRANCH", "ENVIRONMENT", "CAUSE", "STOPPED", "WHY"]);
    for one in &list.data.cancels {
        table.add_row([
            table::time(one.cancel.at),
            table::text(&one.cancel.by),
            table::id(one.test_run.id),
            table::optional(one.test_run.branch.as_deref()),
            table::text(&one.test_run.environment.slug),
            table::text(one.cancel.cause.name().replace('_', " ")),
            table::text(stopped(one)),
            table::optional(one.cancel.reason.as_deref()),
        ]);
    }
    table::print(&table);
    if list.pagination.next_before.is_some() {
        terminal::info(format!(
            "there are more: --limit takes more than {}, and --until goes further back",
            args.limit
        ));
    } else {
        tell_archived(&list);
    }
    Ok(Exit::Done)
}

/// Says at the end of the list that it has no cancels of archived runs.
fn tell_archived(list: &CancelList) {
    if let Some(id) = list.data.archived_through {
        terminal::info(format!(
            "runs up to {id} are archived, and their stops not listed: estop show {id}, or estop export for all of them"
        ));
    }
}

fn stopped(one: &ListedCancel) -> String {
    let how = match one.stop.outcome {
        StopOutcome::NeverStarted => "never started",
        StopOutcome::Stopping => "stopping",
        StopOutcome::Graceful => "gracefully",
        StopOutcome::Terminated => "on SIGTERM",
        StopOutcome::Killed => "on SIGKILL",
        StopOutcome::Lost => "lost",
    };
    one.stop_ms.map_or_else(|| how.to_owned(), |ms| format!("{how}, {}", table::span(ms)))
}

fn page(args: &CancelsArgs, wanted: i64, before: Option<String>, service: &Service) -> Result<CancelList, Failure> {
    let parameters = [
        ("from", args.since.map(|since| since.to_string())),
        ("to", args.until.map(|until| until.to_string())),
        ("by", args.by.clone()),
        ("cause", args.cause.map(|cause| cause.name().to_owned())),
        ("environment", args.environment.clone()),
        ("per_page", Some(wanted.min(PER_PAGE).to_string())),
        ("before", before),
    ];
    retry::send(service, &Call::new("GET", query("/api/cancels", parameters)), RETRY_FOR)?.read()
}
