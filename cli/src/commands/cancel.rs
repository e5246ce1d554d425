//! `estop cancel`: one run by its id, or many at once.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::PATIENCE;
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
    let body = args.reason.as_ref().map_or_else(|| json!({}), |reason| json!({"reason": reason}));
    let call = Call::new("POST", format!("/api/test-runs/{id}/cancel")).with_body(body).repeatable();
    let answer = retry::send_patiently(service, &call, PATIENCE)?;
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

#[derive(Deserialize)]
struct Bulk {
    data: BulkData,
}

/// What came of a bulk cancel.
#[derive(Deserialize)]
struct BulkData {
    cancelled: Vec<RunId>,
    already_over: Vec<Over>,
    #[serde(default)]
    not_found: Vec<i64>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct RunId {
    id: i64,
}

#[derive(Deserialize)]
struct Over {
    message: String,
}

fn many(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    let call = Call::new("POST", "/api/test-runs/cancel").with_body(bulk_body(args)).repeatable();
    let answer = retry::send_patiently(service, &call, PATIENCE)?;
    let bulk: Bulk = answer.read()?;
    if args.json {
        terminal::print(plain_json(&answer.text));
    } else {
        tell(&bulk.data, args.dry_run);
    }
    Ok(outcome(&bulk.data))
}

fn outcome(bulk: &BulkData) -> Exit {
    match (bulk.cancelled.is_empty(), bulk.already_over.is_empty(), bulk.not_found.is_empty()) {
        (_, _, false) => Exit::Refused,
        (true, false, true) => Exit::AlreadyOver,
        _ => Exit::Done,
    }
}

fn tell(bulk: &BulkData, dry_run: bool) {
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

/// The body of a bulk cancel.
fn bulk_body(args: &CancelArgs) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("ids", (!args.ids.is_empty()).then(|| json!(args.ids)));
    let mut filter = Map::new();
    for (name, value) in [
        ("environment", args.environment.as_ref().map(|v| json!(v))),
        ("branch", args.branch.as_ref().map(|v| json!(v))),
        ("state", args.state.as_ref().map(|v| json!(v))),
        ("older_than_minutes", args.older_than_minutes.map(|v| json!(v))),
    ] {
        if let Some(value) = value {
            filter.insert(name.to_owned(), value);
        }
    }
    let metadata: Map<String, Value> = args.metadata.iter().map(|m| (m.name.clone(), m.value.clone())).collect();
    if !metadata.is_empty() {
        filter.insert("metadata".to_owned(), Value::Object(metadata));
    }
    put("filter", (!filter.is_empty()).then_some(Value::Object(filter)));
    put("reason", args.reason.as_ref().map(|v| json!(v)));
    put("dry_run", args.dry_run.then_some(Value::Bool(true)));
    put("limit", args.limit.map(|v| json!(v)));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn body(line: &str) -> Value {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        let Command::Cancel(args) = cli.command else { panic!("not cancel") };
        bulk_body(&args)
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
