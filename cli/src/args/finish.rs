//! `estop finish`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
The file is removed once the service has the result, and left if it could not be sent. It holds the run's lease, so no key is needed.

Exit codes: 0 recorded, 120 the run was cancelled and stays so, 122 refused, 124 service unreachable, 2 no such file.

Examples:
  estop finish --from estop-finish-42.json")]
pub struct FinishArgs {
    /// What `estop run` left because it could not record the result
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
}
