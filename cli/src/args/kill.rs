//! `estop kill`.

use clap::Args;

use super::values::id;

#[derive(Debug, Args)]
#[command(after_help = "\
The run's runner learns of it with its next heartbeat and sends SIGKILL to the tests, without any more grace.

Exit codes: 0 its runner is told to, 123 nothing to stop: it is not cancelled, or has stopped, 122 refused, 124 service unreachable.

Examples:
  estop kill 42
  estop cancel 42 --wait --timeout 30s || estop kill 42")]
pub struct KillArgs {
    /// The run, which is cancelled and still stopping
    #[arg(value_parser = id())]
    pub id: i64,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}
