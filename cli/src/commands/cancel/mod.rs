//! `estop cancel`: one run by its id, or many at once.

mod bulk;
mod confirm;

use std::time::Duration;

use estop_protocol::bulk_cancel::{BulkCancelRequest, BulkCancelled, BulkRun};
use estop_protocol::cancel::CancelRequest;
use estop_protocol::envelope::Data;

use super::{RETRY_FOR, wait};
use crate::args::CancelArgs;
use crate::clock;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table::{self, Table};
use crate::terminal::{self, sanitize, sanitize_json};
use bulk::Walk;
use confirm::Confirmed;

/// The shortest time between two messages about the progress of a long walk.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub fn cancel(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    match args.ids.as_slice() {
        [id] if !args.dry_run => {
            let exit = one(*id, args, service)?;
            if args.wait { wait::until_stopped(args, *id, exit, service) } else { Ok(exit) }
        }
        [_, ..] if args.wait => Err(Failure::new(
            Exit::Usage,
            "nothing was cancelled: --wait takes one id. Cancel them without it, then use `estop wait ID --stopped` for each",
        )),
        _ => many(args, service),
    }
}

fn one(id: i64, args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    let request = CancelRequest { reason: args.reason.clone() };
    let call = Call::new("POST", format!("/api/test-runs/{id}/cancel")).with_body(&request).idempotent();
    super::print_decision(args.json, &retry::send(service, &call, RETRY_FOR)?)
}

fn many(args: &CancelArgs, service: &Service) -> Result<Exit, Failure> {
    // Each request is another one, with a key of its own; its retries share it.
    let mut send = |request: &BulkCancelRequest| {
        let call = Call::new("POST", "/api/test-runs/cancel").with_body(request).idempotent();
        Ok(retry::send(service, &call, RETRY_FOR)?.read::<Data<BulkCancelled>>()?.data)
    };
    let mut reported = clock::now();
    let mut progress = |so_far: &BulkCancelled| {
        if clock::since(reported) >= REPORT_INTERVAL {
            reported = clock::now();
            terminal::info(format!("{} so far; looking for more", outcome(so_far)));
        }
    };
    if !args.dry_run && !args.yes {
        let preview = |enough: usize| {
            let walk = Walk { args, dry_run: true, enough };
            let mut found = bulk::none(true);
            walk.run(&mut found, &mut send, &mut progress).map(|()| found)
        };
        match confirm::confirm(args, confirm::at_terminal(), preview, confirm::ask)? {
            Confirmed::GoOn => {}
            Confirmed::NothingMatches => return Ok(report(args, &bulk::none(false))),
        }
    }
    let mut done = bulk::none(args.dry_run);
    let walk = Walk { args, dry_run: args.dry_run, enough: usize::MAX };
    match walk.run(&mut done, &mut send, &mut progress) {
        Ok(()) => Ok(report(args, &done)),
        Err(failure) => {
            // What has been done before is done.
            if !bulk::is_empty(&done) {
                report(args, &done);
            }
            Err(failure)
        }
    }
}

fn report(args: &CancelArgs, bulk: &BulkCancelled) -> Exit {
    if args.json {
        let json = serde_json::to_string(&Data { data: bulk }).expect("the protocol's answers always serialize");
        terminal::print(sanitize_json(&json));
    } else {
        print(args, bulk);
    }
    exit(bulk)
}

fn exit(bulk: &BulkCancelled) -> Exit {
    match (bulk.cancelled.is_empty(), bulk.already_over.is_empty(), bulk.not_found.is_empty()) {
        (_, _, false) => Exit::Refused,
        (true, false, true) => Exit::AlreadyOver,
        _ => Exit::Done,
    }
}

fn print(args: &CancelArgs, bulk: &BulkCancelled) {
    if bulk::is_empty(bulk) {
        terminal::print("No test run matches.");
    }
    if !bulk.cancelled.is_empty() {
        table::print(&runs(&bulk.cancelled));
        terminal::print(format!("{}.", outcome(bulk)));
    }
    for run in &bulk.already_over {
        terminal::print(sanitize(&run.message));
    }
    for id in &bulk.not_found {
        terminal::error(format!("test run {id} does not exist. Check the id, and that the key is for its project."));
    }
    if let (true, Some(limit)) = (bulk.more, args.limit) {
        let next = if bulk.dry_run { "raise it to see them" } else { "run the same command again" };
        terminal::info(format!("more test runs may match than --limit {limit} allows; {next}"));
    }
}

fn runs(runs: &[BulkRun]) -> Table {
    let mut table = table::new(&["ID", "STATE", "ENVIRONMENT", "BRANCH", "ACTOR", "AGE"]);
    for run in runs {
        table.add_row([
            table::id(run.id),
            table::text(run.state.name()),
            table::text(&run.environment),
            table::optional(run.branch.as_deref()),
            table::text(&run.actor),
            table::age(run.age_seconds),
        ]);
    }
    table
}

/// What came of it, without a full stop.
fn outcome(bulk: &BulkCancelled) -> String {
    let count = bulk.cancelled.len();
    let verb = match (bulk.dry_run, count) {
        (true, _) => "would be",
        (false, 1) => "is",
        (false, _) => "are",
    };
    format!("{} {verb} cancelled", test_runs(count))
}

fn test_runs(count: usize) -> String {
    format!("{count} test run{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::bulk::tests::answer;
    use super::*;

    #[test]
    fn the_outcome_is_told_in_a_sentence() {
        let outcome = |dry_run, ids| outcome(&BulkCancelled { dry_run, ..answer(ids, None) });
        assert_eq!(outcome(false, 7..8), "1 test run is cancelled");
        assert_eq!(outcome(false, 7..10), "3 test runs are cancelled");
        assert_eq!(outcome(true, 7..8), "1 test run would be cancelled");
    }

    #[test]
    fn the_exit_code_follows_the_worst_of_several_ids() {
        let over = || vec![estop_protocol::bulk_cancel::BulkOver { id: 1, message: "over".into() }];
        assert_eq!(exit(&answer(7..9, None)), Exit::Done);
        assert_eq!(exit(&answer(0..0, None)), Exit::Done);
        assert_eq!(exit(&BulkCancelled { already_over: over(), ..answer(7..9, None) }), Exit::Done);
        assert_eq!(exit(&BulkCancelled { already_over: over(), ..answer(0..0, None) }), Exit::AlreadyOver);
        assert_eq!(exit(&BulkCancelled { not_found: vec![1], ..answer(7..9, None) }), Exit::Refused);
    }
}
