//! `estop export`: all that is stored of runs that are over, in the archive's format, or what a spreadsheet wants of it.

use std::collections::HashSet;

use estop_protocol::envelope::Data;
use estop_protocol::export::Export;
use estop_protocol::show::TestRun;
use serde::Deserialize;

use super::{RETRY_FOR, query};
use crate::args::{ExportArgs, ExportFormat};
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::terminal::{self, sanitize_json};

#[derive(Deserialize)]
struct Line {
    kind: String,
    run: Option<i64>,
    test_run: Option<TestRun>,
}

pub fn export(args: &ExportArgs, service: &Service) -> Result<Exit, Failure> {
    let mut seen = HashSet::new();
    let mut after = 0;
    let mut has_format = false;
    if args.format == ExportFormat::Csv {
        terminal::print(HEAD);
    }
    loop {
        let call = Call::new("GET", query("/api/export", [("after", Some(after))]));
        let page = retry::send(service, &call, RETRY_FOR)?.read::<Data<Export>>()?.data;
        let mut wanted = None;
        for text in &page.lines {
            let unreadable = |_| {
                Failure::new(
                    Exit::Refused,
                    "The service's export has a line that this estop cannot read. Use a newer one",
                )
            };
            let line: Line = serde_json::from_str(text.get()).map_err(unreadable)?;
            if let Some(run) = &line.test_run
                && is_wanted(args, run)
            {
                wanted = line.run;
                if args.format == ExportFormat::Csv {
                    terminal::print(row(run));
                }
            }
            // A run's line comes before those of its events and shards.
            let prints = match line.run {
                Some(_) => line.run == wanted,
                // Each page has what it needs to be read alone; a file says once in which format it is.
                None if line.kind == "archive" => !std::mem::replace(&mut has_format, true),
                None => seen.insert(text.get().to_owned()),
            };
            if prints && args.format == ExportFormat::Ndjson {
                terminal::print(sanitize_json(text.get()));
            }
        }
        match page.next_after {
            Some(next) if next > after => after = next,
            _ => return Ok(Exit::Done),
        }
    }
}

fn is_wanted(args: &ExportArgs, run: &TestRun) -> bool {
    args.from.is_none_or(|from| run.created_at >= from.at()) && args.to.is_none_or(|to| run.created_at < to.at())
}

const HEAD: &str = "id,state,result,error_code,environment,branch,actor,created_at,created_by,started_at,ended_at,cancelled_at,\
                    cancelled_by,cause,reason,stop,stopped_at,shards,tests,passed,failed,skipped,flaky";

fn row(run: &TestRun) -> String {
    let (cancel, stop, counts) = (run.cancel.as_ref(), run.stop.as_ref(), run.counts.as_ref());
    let time = |at: Option<estop_protocol::time::Timestamp>| at.map(|at| at.to_string());
    let count = |of: fn(&estop_protocol::show::RunCounts) -> u32| counts.map(|counts| of(counts).to_string());
    let cells = [
        Some(run.id.to_string()),
        Some(run.state.name().to_owned()),
        run.result.map(|result| result.name().to_owned()),
        run.error_code.map(|code| code.name().to_owned()),
        Some(run.environment.slug.clone()),
        run.test_run_branch.clone(),
        Some(run.github_actor.clone().unwrap_or_else(|| run.created_by.clone())),
        time(Some(run.created_at)),
        Some(run.created_by.clone()),
        time(run.started_at),
        time(run.ended_at),
        time(cancel.map(|cancel| cancel.at)),
        cancel.map(|cancel| cancel.by.clone()),
        cancel.map(|cancel| cancel.cause.name().to_owned()),
        cancel.and_then(|cancel| cancel.reason.clone()),
        stop.map(|stop| stop.outcome.name().to_owned()),
        time(stop.and_then(|stop| stop.confirmed_at)),
        run.total_shards.map(|shards| shards.to_string()),
        count(|counts| counts.total),
        count(|counts| counts.success),
        count(|counts| counts.failed),
        count(|counts| counts.skipped),
        count(|counts| counts.flaky),
    ];
    cells.map(|cell| cell.as_deref().map(quoted).unwrap_or_default()).join(",")
}

/// A cell as RFC 4180 has it, on one line. What a spreadsheet would take for a formula begins with an apostrophe: a reason may say
/// anything.
fn quoted(text: &str) -> String {
    let text = terminal::sanitize(text);
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if text.contains([',', '"', ' ']) || !guard.is_empty() {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_and_no_formula() {
        assert_eq!(quoted("main"), "main");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\\nc\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(HEAD.split(',').count(), 23);
    }
}
