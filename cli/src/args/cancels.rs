//! `estop cancels`.

use clap::Args;
use estop_protocol::run::Cause;

use super::values::{Moment, one_of};

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  estop cancels --since yesterday
  estop cancels --since 7d --by ada@example.com
  estop cancels --since 2026-11-01 --cause stale --json | jq '.data.cancels[].test_run.id'")]
pub struct CancelsArgs {
    /// Stops ordered then or later: today, yesterday, 90m, 12h, 7d, 2026-11-30, or a moment like 2026-11-30T09:30:00Z (days are UTC's)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Moment>,
    /// Stops ordered before then
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Moment>,
    /// Stops ordered by this user, or `system:sweeper` and the like
    #[arg(long, value_name = "USER")]
    pub by: Option<String>,
    /// Stops for this cause
    #[arg(long, value_parser = one_of(Cause::ALL, Cause::name))]
    pub cause: Option<Cause>,
    /// Stops of runs against this environment, by slug
    #[arg(long, short, value_name = "SLUG")]
    pub environment: Option<String>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub limit: i64,
    /// Print JSON, in the service's shape
    #[arg(long)]
    pub json: bool,
}
