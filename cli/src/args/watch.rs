//! `estop watch`.

use clap::Args;

use super::PushArgs;
use super::values::id;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes for a run: as `estop wait --stopped`. Without a run it goes on until it is interrupted.

Examples:
  estop watch
  estop watch 42
  estop watch --json | jq -r 'select(.state == \"cancelled\") | .cancel.by'")]
pub struct WatchArgs {
    /// The run, which is followed until it is over and its tests have stopped; without it, all runs of the project
    #[arg(value_parser = id())]
    pub id: Option<i64>,
    /// Print each run that changes as JSON, one a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub push: PushArgs,
}
