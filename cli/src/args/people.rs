//! `estop people`.

use clap::Subcommand;
use estop_protocol::keys::Scope;

use super::values::{id, one_of};

#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Let a person in who signs in with the company's account, or all people of a domain
    #[command(after_help = "\
Examples:
  estop people add ada@example.com --project 1 --scope read --scope cancel
  estop people add @example.com --project 1 --scope read

What was said of the same address before is replaced. `estop keys list` shows people too, and
`estop keys revoke` takes it back.")]
    Add {
        /// A person's address, or @ and a domain for all of its people
        address: String,
        /// The project that they are let into, by id
        #[arg(long, value_name = "ID", value_parser = id())]
        project: i64,
        /// What they may do; repeatable. read: list and inspect runs; cancel: cancel runs; run: register and claim runs
        #[arg(long = "scope", required = true, value_name = "SCOPE", value_parser = one_of(Scope::ALL, Scope::name))]
        scopes: Vec<Scope>,
        /// Until when, e.g. 2026-11-22T09:30:00Z [default: for good]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
}
