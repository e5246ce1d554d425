//! `estop export`.

use clap::{Args, ValueEnum};

use super::values::Moment;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Runs that may still change are left out. `estop restore` takes NDJSON back.

Examples:
  estop export > runs.ndjson
  estop export --from 2026-10-01 --to 2026-11-01 --format csv > october.csv")]
pub struct ExportArgs {
    /// Runs registered then or later: today, yesterday, 90m, 12h, 7d, 2026-11-30, or a moment like 2026-11-30T09:30:00Z (days are UTC's)
    #[arg(long, value_name = "WHEN")]
    pub from: Option<Moment>,
    /// Runs registered before then
    #[arg(long, value_name = "WHEN")]
    pub to: Option<Moment>,
    /// ndjson: every row with all that is stored, a line each; csv: a line for each run, for a spreadsheet
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    pub format: ExportFormat,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Ndjson,
    Csv,
}
