//! `estop keys`, `projects` and `environments`: what the admin token is for.

use clap::{Subcommand, ValueEnum};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key. It is printed this once and cannot be had again.
    #[command(after_help = "\
Examples:
  estop keys create --project 1 --user ada@example.com --name laptop --scope read --scope cancel
  ESTOP_KEY=$(estop keys create --project 1 --user ci --name ci --scope run --token-only)")]
    Create {
        /// The project that it opens, by its id
        #[arg(long, value_name = "ID")]
        project: i64,
        /// Who acts with it: recorded in every run that it touches
        #[arg(long)]
        user: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do; can be repeated
        #[arg(long = "scope", required = true)]
        scopes: Vec<ScopeName>,
        /// From this moment on it opens nothing, like 2026-11-22T09:30:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Print the key and nothing else
        #[arg(long, conflicts_with = "json")]
        token_only: bool,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys, newest first, without the keys themselves.
    #[command(after_help = "Examples:\n  estop keys list --project 1")]
    List {
        /// Keys of this project, by its id
        #[arg(long, value_name = "ID")]
        project: Option<i64>,
        /// Keys with a smaller id than this
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key, from its next request on.
    #[command(after_help = "Examples:\n  estop keys revoke 7")]
    Revoke {
        /// The key's id
        id: i64,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeName {
    /// List and inspect runs
    Read,
    /// Cancel runs
    Cancel,
    /// Register, claim, heartbeat and finish runs
    Run,
}

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// Make a project.
    #[command(after_help = "Examples:\n  estop projects create --name 'The shop' --slug shop --repo acme/shop")]
    Create {
        /// Its name, for people
        #[arg(long)]
        name: String,
        /// Its name for machines: lower-case letters, digits and hyphens
        #[arg(long)]
        slug: String,
        /// The repository under test
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Set how many of its runs there may be at once, for runs that are registered from now on.
    #[command(
        after_help = "Examples:\n  estop projects limit 1 --scope environment --behaviour cancel_previous\n  estop projects limit 1 --scope none"
    )]
    Limit {
        /// The project's id
        id: i64,
        /// One run at once in: none (no limit), project, environment, branch_environment
        #[arg(long, value_name = "SCOPE", value_parser = ["none", "project", "environment", "branch_environment"])]
        scope: String,
        /// What a new run does to those before it: cancel_previous, queue_new
        #[arg(long, value_name = "BEHAVIOUR", default_value = "cancel_previous", value_parser = ["cancel_previous", "queue_new"])]
        behaviour: String,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to do with environments.
#[derive(Debug, Subcommand)]
pub enum EnvironmentsCommand {
    /// Make an environment.
    #[command(after_help = "Examples:\n  estop environments create --project 1 --name Staging --slug staging")]
    Create {
        /// The project that it belongs to, by its id
        #[arg(long, value_name = "ID")]
        project: i64,
        /// Its name, for people
        #[arg(long)]
        name: String,
        /// Its name for machines: lower-case letters, digits and hyphens
        #[arg(long)]
        slug: String,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}
