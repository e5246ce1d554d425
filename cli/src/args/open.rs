//! `estop open`.

use clap::Args;

use super::values::id;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  estop open
  estop open 42")]
pub struct OpenArgs {
    /// The run; without it, all runs
    #[arg(value_parser = id())]
    pub id: Option<i64>,
}
