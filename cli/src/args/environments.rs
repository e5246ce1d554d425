//! `estop environments`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum EnvironmentsCommand {
    /// Create an environment (admin token)
    #[command(after_help = "Examples:\n  estop environments create --project 1 --name Staging --slug staging")]
    Create {
        /// The project that it belongs to, by id
        #[arg(long, value_name = "ID")]
        project: i64,
        /// Display name
        #[arg(long)]
        name: String,
        /// Short name, unique in the project: lower-case letters, digits and hyphens
        #[arg(long)]
        slug: String,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}
