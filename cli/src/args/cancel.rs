//! `estop cancel`, `list`, `show` and `wait`.

use clap::{ArgGroup, Args};

use crate::runner::registration::Metadata;

fn id() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=estop::wire::MAX_ID)
}

const STATES: [&str; 6] = ["pending", "queued", "started", "ended", "error", "cancelled"];

/// Options of `estop cancel`.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Exit codes: 0 cancelled, 123 over already, 122 refused, 124 not reachable.

Examples:
  estop cancel 42 --reason 'wrong branch'
  estop cancel 42 43 44
  estop cancel --branch feat/x --environment staging --dry-run
  estop cancel --metadata ci_run_id=19283746 --reason 'the pipeline was cancelled'",
    group = ArgGroup::new("which").required(true).multiple(true)
        .args(["ids", "branch", "environment", "state", "older_than_minutes", "metadata"])
)]
pub struct CancelArgs {
    /// The runs
    #[arg(value_name = "ID", value_parser = id(), conflicts_with_all = ["branch", "environment", "state", "older_than_minutes", "metadata"])]
    pub ids: Vec<i64>,
    /// Why; kept for the audit trail
    #[arg(long, short)]
    pub reason: Option<String>,
    /// Runs of this branch
    #[arg(long, value_name = "NAME", help_heading = "Which runs, if not by id")]
    pub branch: Option<String>,
    /// Runs against this environment, by its slug
    #[arg(long, value_name = "SLUG", help_heading = "Which runs, if not by id")]
    pub environment: Option<String>,
    /// Runs in this state
    #[arg(long, value_parser = ["pending", "queued", "started"], help_heading = "Which runs, if not by id")]
    pub state: Option<String>,
    /// Runs registered longer ago than this
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i64).range(0..), help_heading = "Which runs, if not by id")]
    pub older_than_minutes: Option<i64>,
    /// Runs with this metadata; can be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Which runs, if not by id")]
    pub metadata: Vec<Metadata>,
    /// Only say which runs would be cancelled
    #[arg(long)]
    pub dry_run: bool,
    /// Cancel at most this many [default: the service's, 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: Option<i64>,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `estop list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  estop list --state started
  estop list --branch main --result failed --days 7
  estop list --json | jq '.data.test_runs.items[].id'")]
pub struct ListArgs {
    /// Runs of this branch
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Runs in this state
    #[arg(long, value_parser = STATES)]
    pub state: Option<String>,
    /// Runs with this result
    #[arg(long, value_parser = ["passed", "failed"])]
    pub result: Option<String>,
    /// Runs against this environment, by its id; can be repeated
    #[arg(long, value_name = "ID", value_parser = id())]
    pub environment_id: Vec<i64>,
    /// Runs of the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub days: Option<i64>,
    /// Which page, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub page: Option<i64>,
    /// Runs a page
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=100))]
    pub per_page: Option<i64>,
    /// Runs with a smaller id than this: pages on without counting
    #[arg(long, value_name = "ID", value_parser = id(), conflicts_with = "page")]
    pub before: Option<i64>,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `estop show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  estop show 42
  estop show 42 --json | jq -r .data.test_run.state")]
pub struct ShowArgs {
    /// The run
    #[arg(value_parser = id())]
    pub id: i64,
    /// Print the service's JSON, without the events
    #[arg(long)]
    pub json: bool,
}

/// Options of `estop wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 passed, 1 failed or broke, 120 cancelled, 124 the time was up.

Examples:
  estop wait 42
  estop wait 42 --timeout 600 && ./deploy")]
pub struct WaitArgs {
    /// The run
    #[arg(value_parser = id())]
    pub id: i64,
    /// Give up after this long
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}
