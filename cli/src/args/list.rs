//! `estop list`.

use clap::Args;
use estop_protocol::limits;
use estop_protocol::run::{RunResult, State};

use super::values::{id, one_of};

#[derive(Debug, Clone, Args)]
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
    #[arg(long, value_parser = one_of(State::ALL, State::name))]
    pub state: Option<State>,
    /// Runs with this result
    #[arg(long, value_parser = one_of(RunResult::ALL, RunResult::name))]
    pub result: Option<RunResult>,
    /// Runs against this environment, by id; repeatable. `estop environments list` shows the ids
    #[arg(long, value_name = "ID", value_parser = id())]
    pub environment_id: Vec<i64>,
    /// Runs of the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub days: Option<i64>,
    /// Page number, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub page: Option<i64>,
    /// Runs per page
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=limits::PER_PAGE))]
    pub per_page: Option<i64>,
    /// Runs with a smaller id than this; pages without counting
    #[arg(long, value_name = "ID", value_parser = id(), conflicts_with = "page")]
    pub before: Option<i64>,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}
