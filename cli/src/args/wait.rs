//! `estop wait`.

use clap::Args;

use super::values::id;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 passed, 1 failed or ended in an error, 120 cancelled, 124 timed out.
With --stopped: 121 instead of 120 if the runner was lost, so that nobody knows whether the tests have stopped.

Examples:
  estop wait 42
  estop wait 42 --stopped --timeout 60
  estop wait 42 --timeout 600 && ./deploy")]
pub struct WaitArgs {
    /// The run
    #[arg(value_parser = id())]
    pub id: i64,
    /// If the run is cancelled, wait until its runner has stopped, too
    #[arg(long)]
    pub stopped: bool,
    /// Give up after this long
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}
