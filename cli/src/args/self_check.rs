//! `estop self-check`.

use clap::Args;

use super::PushArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
It checks the service, the key in ESTOP_KEY, the clock, the WebSocket, and that this machine lets estop stop what a
command starts. It changes nothing. The exit code is 0 unless a check failed.

Examples:
  estop self-check
  estop doctor --json | jq -r '.checks[] | select(.status != \"ok\") | .message'")]
pub struct SelfCheckArgs {
    /// Print the checks as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub push: PushArgs,
}
