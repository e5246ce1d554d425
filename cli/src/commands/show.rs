//! `estop show`.

use estop_protocol::envelope::Data;
use estop_protocol::events::Events;
use estop_protocol::show::{Shown, TestRun};

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
    row("shards", run.total_shards.map(|n| n.to_string()));
    row("runner", run.runner.clone());
    row("lease until", run.lease.as_ref().map(|lease| lease.expires_at.to_string()));
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
    row("stop confirmed", messages::stop_confirmed(run));
    row("superseded by", run.superseded_by.map(|id| id.to_string()));
    table.add_row([table::name("state"), table::state(run)]);
    table::print(&table);
}
