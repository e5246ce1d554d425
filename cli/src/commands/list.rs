//! `estop list`.

use estop_protocol::list::RunList;

use super::{RETRY_FOR, query};
use crate::args::ListArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize_json};

/// How many windows of the history a list of a rare kind looks through before it leaves the rest to the next page.
const WINDOWS: usize = 50;

pub fn list(args: &ListArgs, service: &Service) -> Result<Exit, Failure> {
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
        return Ok(Exit::Done);
    }
    let mut table = table::new(&["ID", "STATE", "ENVIRONMENT", "BRANCH", "REGISTERED", "BY", "WHY"]);
    for run in runs {
        let why =
            run.cancel.as_ref().map(|c| c.reason.as_ref().map_or_else(|| c.by.clone(), |r| format!("{}: {r}", c.by)));
        table.add_row([
            table::id(run.id),
            table::state(run),
            table::text(&run.environment.slug),
            table::optional(run.test_run_branch.as_deref()),
            table::time(run.created_at),
            table::text(&run.created_by),
            table::optional(why.as_deref()),
        ]);
    }
    if !runs.is_empty() {
        table::print(&table);
    }
    if let Some(before) = list.pagination.next_before {
        terminal::info(format!("next page: estop list --before {before} (with the same filters)"));
    }
    Ok(Exit::Done)
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
    query(
        "/api/test-runs",
        [
            ("branch", args.branch.clone()),
            ("state", args.state.map(|state| state.name().to_owned())),
            ("result", args.result.map(|result| result.name().to_owned())),
            ("environment_ids", (!ids.is_empty()).then(|| ids.join(","))),
            ("interval_in_days", number(args.days)),
            ("page", number(args.page)),
            ("per_page", number(args.per_page)),
            ("before", number(before)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    #[test]
    fn filters_become_a_query() {
        let path = |flags: &[&str]| {
            let line = [&["estop", "list"], flags].concat();
            let Command::List(args) = Cli::try_parse_from(line).expect("a command line").command else {
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
            "/api/test-runs?state=ended&result=failed&page=2&per_page=50"
        );
        assert_eq!(path(&["--before", "9"]), "/api/test-runs?before=9");
    }
}
