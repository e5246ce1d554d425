//! `estop projects`.

use clap::Subcommand;
use estop_protocol::concurrency::{LimitBehaviour, LimitScope};

use super::values::{id, one_of};

#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// Create a project
    #[command(after_help = "Examples:\n  estop projects create --name 'The shop' --slug shop --repo acme/shop")]
    Create {
        /// Display name
        #[arg(long)]
        name: String,
        /// Unique short name: lower-case letters, digits and hyphens
        #[arg(long)]
        slug: String,
        /// The repository under test
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// List projects, newest first
    #[command(
        after_help = "Examples:\n  estop projects list\n  estop projects list --json | jq '.data.projects[].slug'"
    )]
    List {
        /// Projects with a smaller id than this
        #[arg(long, value_name = "ID", value_parser = id())]
        before: Option<i64>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Limit a project to one active run per scope. Applies to runs registered from now on
    #[command(
        after_help = "Examples:\n  estop projects limit 1 --scope environment --behaviour cancel_previous\n  estop projects limit 1 --scope none"
    )]
    Limit {
        /// The project's id
        #[arg(value_parser = id())]
        id: i64,
        /// What may have only one active run at a time; none means no limit
        #[arg(long, value_name = "SCOPE", value_parser = one_of(LimitScope::ALL, LimitScope::name))]
        scope: LimitScope,
        /// What a new run does to those before it
        #[arg(long, value_name = "BEHAVIOUR", default_value = LimitBehaviour::CancelPrevious.name(), value_parser = one_of(LimitBehaviour::ALL, LimitBehaviour::name))]
        behaviour: LimitBehaviour,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}
