//! `estop`, the command-line tool: runs tests under the stop button, and presses it.
//!
//! `exit`, `terminal` → `service`, `retry` → `run`, `press`, `setup` → `dispatch`. The supervisor's decisions are one pure
//! function, [`run::supervisor::next`]; threads, processes and HTTP around it are thin.

#![warn(missing_docs)]

pub mod args;
pub mod exit;
mod press;
pub mod retry;
pub mod run;
pub mod service;
mod setup;
mod table;
pub mod terminal;

use std::time::Duration;

use clap::CommandFactory;

use args::{Cli, Command};
use exit::Exit;
use service::{Failure, Service};

/// How long any request but a run's own may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Does what the command line says.
///
/// # Errors
/// What kept it from being done.
pub fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    let key = |timeout| Service::new(&cli.url, &secret("ESTOP_KEY", "a key of the project")?, timeout);
    let admin = || Service::new(&cli.url, &secret("ESTOP_ADMIN_TOKEN", "the service's admin token")?, TIMEOUT);
    match &cli.command {
        Command::Run(args) => run::run(args, &key(run::REQUEST_TIMEOUT)?),
        Command::Cancel(args) => press::cancel::cancel(args, &key(TIMEOUT)?),
        Command::List(args) => press::list::list(args, &key(TIMEOUT)?),
        Command::Show(args) => press::show::show(args, &key(TIMEOUT)?),
        Command::Wait(args) => press::wait::wait(args, &key(TIMEOUT)?),
        Command::Keys(command) => setup::keys(command, &admin()?),
        Command::Projects(command) => setup::projects(command, &admin()?),
        Command::Environments(command) => setup::environments(command, &admin()?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "estop", &mut script);
            terminal::print(String::from_utf8_lossy(&script).trim_end());
            Ok(Exit::Done)
        }
    }
}

/// A secret from the environment. There are no flags for secrets: a process list would show them.
fn secret(name: &str, what: &str) -> Result<String, Failure> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
        _ => Err(Failure::new(Exit::Usage, format!("{name} is not set. Set it to {what}"))),
    }
}
