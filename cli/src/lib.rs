//! `estop`, the command-line tool: runs tests so that they can be cancelled from anywhere, and cancels them.
//!
//! `args` says what can be asked for. `runner` is `estop run`: its decisions are one pure function,
//! `runner::supervisor::next`, with thin layers of threads, processes and HTTP around it. `commands` is everything
//! else. Both talk to the Worker through `service` and `retry`, and hear
//! from it through `push`, in the types of `estop-protocol`.

pub mod args;
mod clock;
mod commands;
mod exit;
mod push;
mod retry;
mod runner;
mod service;
mod table;
pub mod terminal;

use std::time::Duration;

use args::{Cli, Command};
pub use exit::Exit;
pub use service::Failure;
use service::Service;

/// How long a request may take, other than those of `estop run`.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Does what the command line says.
pub fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    let key = |timeout| Service::new(&cli.url, &secret("ESTOP_KEY", "a key of the project")?, timeout);
    let admin = || Service::new(&cli.url, &secret("ESTOP_ADMIN_TOKEN", "the service's admin token")?, TIMEOUT);
    match &cli.command {
        Command::Run(args) => runner::run(args, &key(runner::REQUEST_TIMEOUT)?),
        Command::Cancel(args) => commands::cancel(args, &key(TIMEOUT)?),
        Command::Kill(args) => commands::kill(args, &key(TIMEOUT)?),
        Command::List(args) => commands::list(args, &key(TIMEOUT)?),
        Command::Cancels(args) => commands::cancels(args, &key(TIMEOUT)?),
        Command::Stats(args) => commands::stats(args, &key(TIMEOUT)?),
        Command::Open(args) => Ok(commands::open(args, &Service::without_key(&cli.url, TIMEOUT)?)),
        Command::Show(args) => commands::show(args, &key(TIMEOUT)?),
        Command::Wait(args) => commands::wait(args, &key(TIMEOUT)?),
        Command::Watch(args) => commands::watch(args, &key(TIMEOUT)?),
        // The lease in the file is the credential.
        Command::Finish(args) => commands::finish(args, &Service::without_key(&cli.url, TIMEOUT)?),
        Command::Export(args) => commands::export(args, &key(TIMEOUT)?),
        // It asks no service: the one that it is for is empty.
        Command::Restore(args) => commands::restore(args),
        Command::Keys(command) => commands::keys(command, &admin()?),
        Command::Admin(command) => commands::admin(command, &admin()?),
        Command::People(command) => commands::people(command, &admin()?),
        Command::Projects(command) => commands::projects(command, &admin()?),
        Command::Webhooks(command) => commands::webhooks(command, &admin()?),
        Command::Environments(command) => {
            let service = if command.is_for_admins() { admin()? } else { key(TIMEOUT)? };
            commands::environments(command, &service)
        }
        // That there is no key is something that it reports.
        Command::SelfCheck(args) => Ok(commands::self_check(args, &cli.url)),
        Command::Guard => Ok(runner::guard(&key(runner::REQUEST_TIMEOUT)?)),
        Command::Completions { shell } => Ok(commands::completions(*shell)),
    }
}

/// A secret from the environment. There are no flags for secrets, because process listings show them.
pub(crate) fn secret(name: &str, what: &str) -> Result<String, Failure> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
        _ => Err(Failure::new(Exit::Usage, format!("{name} is not set. Set it to {what}"))),
    }
}
