//! `estop environments`.

use clap::Subcommand;

use super::values::id;

#[derive(Debug, Subcommand)]
pub enum EnvironmentsCommand {
    /// Create an environment (admin token)
    #[command(after_help = "Examples:\n  estop environments create --project 1 --name Staging --slug staging")]
    Create {
        /// The project that it belongs to, by id
        #[arg(long, value_name = "ID", value_parser = id())]
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
    /// List the environments of the key's project, or of any project with the admin token, newest first
    #[command(
        after_help = "Examples:\n  estop environments list\n  estop environments list --project 1 --json | jq '.data.environments[].slug'"
    )]
    List {
        /// Environments of this project, by id; takes ESTOP_ADMIN_TOKEN in place of ESTOP_KEY
        #[arg(long, value_name = "ID", value_parser = id())]
        project: Option<i64>,
        /// Environments with a smaller id than this
        #[arg(long, value_name = "ID", value_parser = id())]
        before: Option<i64>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}

impl EnvironmentsCommand {
    /// Whether it takes the admin token, and not a key.
    pub fn is_for_admins(&self) -> bool {
        !matches!(self, Self::List { project: None, .. })
    }
}
