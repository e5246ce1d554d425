//! `estop list`.

use clap::Args;
use estop_protocol::limits;
use estop_protocol::run::{Cause, RunResult, State, StopOutcome};

use super::values::{Moment, id, name_and_value, one_of};

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  estop list --state started
  estop list --mine --days 1
  estop list --branch main --result failed --days 7
  estop list --cause superseded --environment staging
  estop list --json | jq '.data.test_runs.items[].id'")]
pub struct ListArgs {
    /// Runs that you set off: your name in this CI job or, elsewhere, git's `github.user` or `user.email`
    #[arg(long, conflicts_with = "actor")]
    pub mine: bool,
    /// Runs that this account set off or, where the CI names none, that this user registered
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Runs of this branch
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Runs against this environment, by slug; repeatable
    #[arg(long, short, value_name = "SLUG")]
    pub environment: Vec<String>,
    /// Runs against this environment, by id; repeatable. `estop environments list` shows the ids
    #[arg(long, value_name = "ID", value_parser = id())]
    pub environment_id: Vec<i64>,
    /// Runs in this state; repeatable
    #[arg(long, value_parser = one_of(State::ALL, State::name))]
    pub state: Vec<State>,
    /// Runs with this result
    #[arg(long, value_parser = one_of(RunResult::ALL, RunResult::name))]
    pub result: Option<RunResult>,
    /// Runs with this tag; repeatable, for those that have all of them
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Runs with this metadata; repeatable, for those that have all of it
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub metadata: Vec<(String, String)>,
    /// Runs that this user stopped, or `system:sweeper` and the like
    #[arg(long, value_name = "USER")]
    pub cancelled_by: Option<String>,
    /// Runs that were stopped for this cause
    #[arg(long, value_parser = one_of(Cause::ALL, Cause::name))]
    pub cause: Option<Cause>,
    /// Cancelled runs that stopped like this
    #[arg(long, value_parser = one_of(StopOutcome::ALL, StopOutcome::name))]
    pub stop: Option<StopOutcome>,
    /// Runs of the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub days: Option<i64>,
    /// Runs registered then or later: today, yesterday, 90m, 12h, 7d, 2026-11-30, or a moment like 2026-11-30T09:30:00Z (days are UTC's)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Moment>,
    /// Runs registered before then
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Moment>,
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
