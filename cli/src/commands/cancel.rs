//! `estop cancel`: one run by its id, or many at once.

use estop_protocol::bulk_cancel::{BulkCancelRequest, BulkCancelled, BulkFilter};
use estop_protocol::cancel::CancelRequest;
use estop_protocol::envelope::Data;
use estop_protocol::whole::Whole;

use super::RETRY_FOR;
use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::terminal::{self, sanitize, sanitize_json};

pub fn cancel(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    match args.ids.as_slice() {
        [id] if !args.dry_run && args.limit.is_none() => one(*id, args, service),
        _ => many(args, service),
    }
}

fn one(id: i64, args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    let request = CancelRequest { reason: args.reason.clone() };
    let call = Call::new("POST", format!("/api/test-runs/{id}/cancel")).with_body(&request).idempotent();
    let response = retry::send(service, &call, RETRY_FOR)?;
    let exit = match response.status {
        200 => Exit::Done,
        412 => Exit::AlreadyOver,
        _ => return Err(response.refusal()),
    };
    let message = response.message().ok_or_else(|| response.refusal())?;
    match (args.json, exit) {
        (true, _) => terminal::print(sanitize_json(&response.text)),
        (false, Exit::Done) => terminal::print(message),
        (false, _) => terminal::error(message),
    }
    Ok(exit)
}

fn many(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    let call = Call::new("POST", "/api/test-runs/cancel").with_body(&bulk_request(args)).idempotent();
    let response = retry::send(service, &call, RETRY_FOR)?;
    let bulk = response.read::<Data<BulkCancelled>>()?.data;
    if args.json {
        terminal::print(sanitize_json(&response.text));
    } else {
        print(&bulk);
    }
    Ok(exit(&bulk))
}

fn exit(bulk: &BulkCancelled) -> Exit {
    match (bulk.cancelled.is_empty(), bulk.already_over.is_empty(), bulk.not_found.is_empty()) {
        (_, _, false) => Exit::Refused,
        (true, false, true) => Exit::AlreadyOver,
        _ => Exit::Done,
    }
}

fn print(bulk: &BulkCancelled) {
    let verb = if bulk.dry_run { "would be cancelled" } else { "is cancelled" };
    for run in &bulk.cancelled {
        terminal::print(format!("Test run {} {verb}.", run.id));
    }
    for run in &bulk.already_over {
        terminal::print(sanitize(&run.message));
    }
    for id in &bulk.not_found {
        terminal::error(format!("test run {id} does not exist. Check the id, and that the key is for its project."));
    }
    if bulk.cancelled.is_empty() && bulk.already_over.is_empty() && bulk.not_found.is_empty() {
        terminal::print("No test run matches.");
    }
    if bulk.more {
        let next = if bulk.dry_run { "raise --limit to see them" } else { "run the same command again" };
        terminal::info(format!("more runs match than the limit allows; {next}"));
    }
}

fn bulk_request(args: &CancelArgs) -> BulkCancelRequest {
    let metadata = (!args.metadata.is_empty())
        .then(|| args.metadata.iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect());
    let filter = BulkFilter {
        environment: args.environment.clone(),
        branch: args.branch.clone(),
        state: args.state,
        older_than_minutes: args.older_than_minutes.map(Whole),
        metadata,
    };
    // The command line takes either ids or filters.
    let ids: Vec<Whole> = args.ids.iter().copied().map(Whole).collect();
    let (ids, filter) = if ids.is_empty() { (None, Some(filter)) } else { (Some(ids), None) };
    BulkCancelRequest {
        ids,
        filter,
        reason: args.reason.clone(),
        dry_run: args.dry_run.then_some(true),
        limit: args.limit.map(Whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use serde_json::{Value, json};

    fn body(line: &str) -> Value {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        let Command::Cancel(args) = cli.command else { panic!("not cancel") };
        serde_json::to_value(bulk_request(&args)).expect("JSON")
    }

    #[test]
    fn a_bulk_cancel_asks_for_what_the_flags_say() {
        assert_eq!(body("estop cancel 7 8 --reason x"), json!({"ids": [7, 8], "reason": "x"}));
        assert_eq!(
            body(
                "estop cancel --branch main --state queued --older-than-minutes 5 --metadata ci_run_id=9 --dry-run --limit 3"
            ),
            json!({
                "filter": {"branch": "main", "state": "queued", "older_than_minutes": 5, "metadata": {"ci_run_id": 9}},
                "dry_run": true,
                "limit": 3,
            })
        );
    }
}
