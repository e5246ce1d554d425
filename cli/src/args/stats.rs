//! `estop stats`.

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  estop stats
  estop stats --days 30 --environment staging
  estop stats --json | jq .data.summary.stop_ms")]
pub struct StatsArgs {
    /// So many days, today included (UTC)
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(i64).range(1..=90))]
    pub days: i64,
    /// Runs against this environment, by slug
    #[arg(long, short, value_name = "SLUG")]
    pub environment: Option<String>,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}
