//! `estop show`.

use clap::Args;

use super::values::id;

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
