//! `estop restore`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The SQL refuses a database that has runs, or another schema than this estop knows. docs/operations.md has the whole drill.

Examples:
  estop restore runs.ndjson > restore.sql
  estop restore archives/1/*.ndjson.gz > restore.sql
  wrangler d1 execute estop --remote --file restore.sql")]
pub struct RestoreArgs {
    /// Exports, and objects of the archive as they are in the bucket
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}
