//! The command line.

mod cancel;
mod keys;
mod run;

pub use cancel::{CancelArgs, ListArgs, ShowArgs, WaitArgs};
pub use keys::{EnvironmentsCommand, KeysCommand, ProjectsCommand, ScopeName};
pub use run::RunArgs;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::exit;

/// The stop button for end-to-end test runs: run tests under it, and press it.
#[derive(Debug, Parser)]
#[command(name = "estop", version, after_help = after_help(), arg_required_else_help = true)]
pub struct Cli {
    /// The service's address.
    #[arg(
        long,
        global = true,
        env = "ESTOP_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8787",
        value_name = "URL"
    )]
    pub url: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run COMMAND as a test run that can be stopped.
    Run(RunArgs),
    /// Stop a test run.
    Cancel(CancelArgs),
    /// List test runs, newest first.
    List(ListArgs),
    /// Show one test run, and what happened to it.
    Show(ShowArgs),
    /// Wait until a test run is over; the exit code says how it ended.
    Wait(WaitArgs),
    /// Keys (with the admin token).
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Projects (with the admin token).
    #[command(subcommand)]
    Projects(ProjectsCommand),
    /// Environments (with the admin token).
    #[command(subcommand)]
    Environments(EnvironmentsCommand),
    /// Print a completion script, e.g. `estop completions bash > /etc/bash_completion.d/estop`.
    Completions {
        /// For this shell.
        shell: Shell,
    },
}

fn after_help() -> String {
    format!(
        "Environment:
  ESTOP_URL          the service's address
  ESTOP_KEY          the key of a project; run needs the scope `run`, cancel `cancel`, the others `read`
  ESTOP_ADMIN_TOKEN  for keys, projects and environments
  ESTOP_ENVIRONMENT  what `estop run` runs against
  NO_COLOR           no colours, not even on a terminal

Examples:
  estop run --environment staging -- npx playwright test
  estop cancel 42 --reason 'wrong branch'
  estop list --state started
  estop wait 42 --timeout 600

{}",
        exit::TABLE
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_shows_examples_and_every_exit_code_and_no_key() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("npx playwright test") && help.contains("  124 "), "{help}");
        for (name, command) in Cli::command().get_subcommands().map(|c| (c.get_name(), c.clone())) {
            let help = command.clone().render_help().to_string();
            assert!(help.contains("Examples:") || command.has_subcommands() || name == "completions", "{name}: {help}");
        }
    }

    #[test]
    fn everything_after_the_dashes_is_the_command() {
        let cli = parse("estop run --environment staging -- npx playwright test --grep -x").expect("a command line");
        let Command::Run(args) = cli.command else { panic!("not run") };
        assert_eq!(
            (args.program(), args.arguments().join(" ")),
            ("npx".to_owned(), "playwright test --grep -x".to_owned())
        );
        assert!(parse("estop run --environment staging").is_err());
    }

    #[test]
    fn a_cancel_is_by_id_or_by_filter() {
        assert!(parse("estop cancel 7").is_ok());
        assert!(parse("estop cancel 7 8 --reason x").is_ok());
        assert!(parse("estop cancel --branch main --dry-run").is_ok());
        assert!(parse("estop cancel").is_err());
        assert!(parse("estop cancel --dry-run").is_err());
        assert!(parse("estop cancel 7 --branch main").is_err());
        assert!(parse("estop cancel 0").is_err() && parse("estop cancel x").is_err());
    }
}
