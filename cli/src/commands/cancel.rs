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
use crate::terminal::{self, plain, plain_json};

/// Cancels what the arguments say.
///
/// # Errors
/// What the service refused, or that it could not be reached.
pub fn cancel(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    match args.ids.as_slice() {
        [id] if !args.dry_run && args.limit.is_none() => one(*id, args, service),
        _ => many(args, service),
    }
}

fn one(id: i64, args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    let request = CancelRequest { reason: args.reason.clone() };
    let call = Call::new("POST", format!("/api/test-runs/{id}/cancel")).with_body(&request).repeatable();
    let answer = retry::send_patiently(service, &call, RETRY_FOR)?;
    let exit = match answer.status {
        200 => Exit::Done,
        412 => Exit::AlreadyOver,
        _ => return Err(answer.refusal()),
    };
    let message = answer.message().ok_or_else(|| answer.refusal())?;
    match (args.json, exit) {
        (true, _) => terminal::print(plain_json(&answer.text)),
        (false, Exit::Done) => terminal::print(message),
        (false, _) => terminal::error(message),
    }
    Ok(exit)
}

fn many(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    let call = Call::new("POST", "/api/test-runs/cancel").with_body(&bulk_request(args)).repeatable();
    let answer = retry::send_patiently(service, &call, RETRY_FOR)?;
    let bulk = answer.read::<Data<BulkCancelled>>()?.data;
    if args.json {
        terminal::print(plain_json(&answer.text));
    } else {
        tell(&bulk, args.dry_run);
    }
    Ok(outcome(&bulk))
}

fn outcome(bulk: &BulkCancelled) -> Exit {
    match (bulk.cancelled.is_empty(), bulk.already_over.is_empty(), bulk.not_found.is_empty()) {
        (_, _, false) => Exit::Refused,
        (true, false, true) => Exit::AlreadyOver,
        _ => Exit::Done,
    }
}

fn tell(bulk: &BulkCancelled, dry_run: bool) {
    let verb = if dry_run { "would be cancelled" } else { "is cancelled" };
    for run in &bulk.cancelled {
        terminal::print(format!("Test run {} {verb}.", run.id));
    }
    for run in &bulk.already_over {
        terminal::print(plain(&run.message));
    }
    for id in &bulk.not_found {
        terminal::error(format!("there is no test run {id}. Check the id, and that the key is of the same project."));
    }
    if bulk.cancelled.is_empty() && bulk.already_over.is_empty() && bulk.not_found.is_empty() {
        terminal::print("No test run matches.");
    }
    if bulk.more {
        let next = if dry_run { "--limit shows more" } else { "run the same command again" };
        terminal::say(format!("more match than the limit lets through; {next}"));
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
    fn a_bulk_cancel_says_what_the_flags_say() {
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
