//! `estop wait`.

use std::time::Duration;

use clap::Args;

use super::PushArgs;
use super::values::{id, span};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 passed, 1 failed or ended in an error, 120 cancelled, 124 timed out or service unreachable.
With --stopped: 120 cancelled and stopped, 121 cancelled and the runner was lost: nobody knows whether its tests have stopped.

Examples:
  estop wait 42
  estop wait 42 --stopped --timeout 60s
  estop wait 42 --timeout 10m && ./deploy")]
pub struct WaitArgs {
    /// The run
    #[arg(value_parser = id())]
    pub id: i64,
    /// If the run is cancelled, also wait until its stop record is closed, and say how long the stop took
    #[arg(long)]
    pub stopped: bool,
    /// Give up after this long: seconds, or with a unit, as in 90s, 2m, 1h
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub push: PushArgs,
}
