//! `estop cancel`.

use std::time::Duration;

use clap::{ArgGroup, Args};
use estop_protocol::limits;
use estop_protocol::run::State;

use super::PushArgs;
use super::values::{MetadataEntry, id, one_of, span};

#[derive(Debug, Args)]
#[command(
    after_help = "\
More than 20 runs, or runs selected by nothing but their state, are cancelled only after a question at the terminal, or with --yes.

Exit codes: 0 cancelled, 123 already over, 122 refused or the answer was no, 124 service unreachable, 2 --yes is needed.
With --wait, once the stop record is closed: 0 cancelled and stopped, 123 already over and stopped, 121 the runner was lost: nobody knows whether its tests have stopped; 124 if that takes longer than --timeout.

Examples:
  estop cancel 42 --reason 'wrong branch'
  estop cancel 42 --wait --timeout 60s
  estop cancel 42 43 44
  estop cancel --branch feat/x --environment staging --dry-run
  estop cancel --metadata ci_run_id=19283746 --reason 'pipeline cancelled'
  estop cancel --state started --yes",
    group = ArgGroup::new("which").required(true).multiple(true)
        .args(["ids", "branch", "environment", "state", "older_than_minutes", "metadata"])
)]
pub struct CancelArgs {
    /// The runs to cancel
    #[arg(value_name = "ID", value_parser = id(), conflicts_with_all = ["branch", "environment", "state", "older_than_minutes", "metadata"])]
    pub ids: Vec<i64>,
    /// Why; kept in the audit trail
    #[arg(long, short)]
    pub reason: Option<String>,
    /// Runs of this branch
    #[arg(long, value_name = "NAME", help_heading = "Select runs without ids")]
    pub branch: Option<String>,
    /// Runs against this environment, by slug
    #[arg(long, value_name = "SLUG", help_heading = "Select runs without ids")]
    pub environment: Option<String>,
    /// Runs in this state
    #[arg(long, value_parser = one_of(State::ALL.iter().filter(|state| !state.is_over()), State::name), help_heading = "Select runs without ids")]
    pub state: Option<State>,
    /// Runs registered at least this long ago
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i64).range(0..), help_heading = "Select runs without ids")]
    pub older_than_minutes: Option<i64>,
    /// Runs with this metadata; repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Select runs without ids")]
    pub metadata: Vec<MetadataEntry>,
    /// Only show which runs would be cancelled
    #[arg(long)]
    pub dry_run: bool,
    /// Cancel at most this many [default: all that match]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=limits::MAX_ID), conflicts_with = "ids", help_heading = "Select runs without ids")]
    pub limit: Option<i64>,
    /// Wait until the stop record is closed, and say how long the stop took; takes one id, and a key that may also read
    #[arg(long, conflicts_with_all = ["dry_run", "branch", "environment", "state", "older_than_minutes", "metadata"])]
    pub wait: bool,
    /// With --wait: give up after this long: seconds, or with a unit, as in 90s, 2m, 1h
    // With the service's default settings a stop record is closed after 8.5 min at the latest.
    #[arg(long, value_name = "DURATION", requires = "wait", default_value = "10m", value_parser = span)]
    pub timeout: Duration,
    /// Do not ask, however many runs it is
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON: the service's or, where it takes several requests, their sum in the same shape. With --wait, a second line has the run, as `show --json`
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub push: PushArgs,
}
