//! `estop keys`.

use clap::Subcommand;
use estop_protocol::keys::Scope;

use super::values::{id, one_of};

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key. It is printed once and cannot be retrieved later
    #[command(after_help = "\
Examples:
  estop keys create --project 1 --user ada@example.com --name laptop --scope read --scope cancel
  ESTOP_KEY=$(estop keys create --project 1 --user ci --name ci --scope run --token-only)")]
    Create {
        /// The project that it gives access to, by id
        #[arg(long, value_name = "ID", value_parser = id())]
        project: i64,
        /// Who uses it; recorded in every run that it touches
        #[arg(long)]
        user: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do; repeatable. read: list and inspect runs; cancel: cancel runs; run: register and claim runs
        #[arg(long = "scope", required = true, value_name = "SCOPE", value_parser = one_of(Scope::ALL, Scope::name))]
        scopes: Vec<Scope>,
        /// When it expires, e.g. 2026-11-22T09:30:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Print only the key
        #[arg(long, conflicts_with = "json")]
        token_only: bool,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys, newest first, without their secrets
    #[command(after_help = "Examples:\n  estop keys list --project 1")]
    List {
        /// Keys of this project, by id
        #[arg(long, value_name = "ID", value_parser = id())]
        project: Option<i64>,
        /// Keys with a smaller id than this
        #[arg(long, value_name = "ID", value_parser = id())]
        before: Option<i64>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key, effective from its next request
    #[command(after_help = "Examples:\n  estop keys revoke 7")]
    Revoke {
        /// The key's id
        #[arg(value_parser = id())]
        id: i64,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}
