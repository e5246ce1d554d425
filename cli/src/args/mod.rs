//! The command line: one file a command, as in `commands`.

mod admin;
mod cancel;
mod cancels;
mod environments;
mod export;
mod finish;
mod keys;
mod kill;
mod list;
mod open;
mod people;
mod projects;
mod push;
mod restore;
mod run;
mod self_check;
mod show;
mod stats;
mod values;
mod wait;
mod watch;
mod webhooks;

pub use admin::{AdminCommand, MoveArgs};
pub use cancel::CancelArgs;
pub use cancels::CancelsArgs;
pub use environments::EnvironmentsCommand;
pub use export::{ExportArgs, ExportFormat};
pub use finish::FinishArgs;
pub use keys::KeysCommand;
pub use kill::KillArgs;
pub use list::ListArgs;
pub use open::OpenArgs;
pub use people::PeopleCommand;
pub use projects::ProjectsCommand;
pub use push::PushArgs;
pub use restore::RestoreArgs;
pub use run::RunArgs;
pub use self_check::SelfCheckArgs;
pub use show::ShowArgs;
pub use stats::StatsArgs;
pub use values::{MetadataEntry, Shard, number_or_text};
pub use wait::WaitArgs;
pub use watch::WatchArgs;
pub use webhooks::{AddWebhookArgs, ChangeWebhookArgs, WebhooksCommand};

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::exit;

/// Where `make dev` serves.
const LOCAL: &str = "http://127.0.0.1:8787";

/// The stop button for end-to-end test runs: run tests under it, and cancel them from anywhere
#[derive(Debug, Parser)]
#[command(name = "estop", version, after_help = after_help(), arg_required_else_help = true)]
pub struct Cli {
    /// The service's address [env: ESTOP_URL] [default: http://127.0.0.1:8787]
    // Not clap's `env`: what that finds counts as given, and every usage line would show the flag as if it were required.
    #[arg(long, global = true, value_name = "URL", default_value_t = address(), hide_default_value = true)]
    pub url: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run COMMAND as a test run that can be cancelled
    Run(Box<RunArgs>),
    /// Cancel test runs
    Cancel(CancelArgs),
    /// Kill the tests of a cancelled run that is still stopping, at once
    Kill(KillArgs),
    /// List test runs, newest first
    List(ListArgs),
    /// List who stopped what, when and why, newest first
    Cancels(CancelsArgs),
    /// Count what became of the runs of the last days, how long stops took and what they saved
    Stats(StatsArgs),
    /// Open the service's page in a browser
    Open(OpenArgs),
    /// Show a test run and its history
    Show(ShowArgs),
    /// Wait until a test run is over; the exit code says how it ended
    Wait(WaitArgs),
    /// Follow a test run, or all of the project's, as they change
    Watch(WatchArgs),
    /// Send a result that `estop run` could not record
    Finish(FinishArgs),
    /// Print all that is stored of runs that are over, archived ones too
    Export(ExportArgs),
    /// Print the SQL that brings exported or archived runs into an empty database
    Restore(RestoreArgs),
    /// Create, list and revoke keys (admin token)
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Let people in who sign in with the company's account (admin token)
    #[command(subcommand)]
    People(PeopleCommand),
    /// Create, list and limit projects (admin token)
    #[command(subcommand)]
    Projects(ProjectsCommand),
    /// Add, list, change, test and delete webhooks (admin token)
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// List environments, or create them (admin token)
    #[command(subcommand)]
    Environments(EnvironmentsCommand),
    /// Say which database has what, and move it (admin token)
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Check the service, the key, the clock, the WebSocket, and that what a command starts can be stopped here
    #[command(visible_alias = "doctor")]
    SelfCheck(SelfCheckArgs),
    /// What `estop run` starts beside COMMAND
    #[command(hide = true)]
    Guard,
    /// Print a completion script, e.g. `estop completions bash > /etc/bash_completion.d/estop`
    Completions {
        /// The shell that it is for
        shell: Shell,
    },
}

/// What holds without `--url`.
fn address() -> String {
    std::env::var_os("ESTOP_URL").map_or_else(|| LOCAL.to_owned(), |url| url.to_string_lossy().into_owned())
}

fn after_help() -> String {
    format!(
        "Environment:
  ESTOP_URL          the service's address
  ESTOP_KEY          a key of the project; `run` needs scope run, `cancel` and `kill` need cancel,
                     the others and `cancel --wait` need read; `finish` needs no key
  ESTOP_ADMIN_TOKEN  for admin, keys, people, projects, webhooks, `environments create` and
                     `environments list --project`
  ESTOP_ENVIRONMENT  the default for `estop run --environment`
  ESTOP_NO_PUSH      1 is --no-push
  NO_COLOR           no colours, even on a terminal

Examples:
  estop run --environment staging -- npx playwright test
  estop cancel 42 --reason 'wrong branch'
  estop list --state started
  estop wait 42 --timeout 10m
  estop watch

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
    fn every_help_shows_examples_and_the_top_one_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("npx playwright test") && help.contains("  124 "), "{help}");
        let top = Cli::command();
        let leaves = top.get_subcommands().flat_map(|command| match command.has_subcommands() {
            true => command.get_subcommands().collect::<Vec<_>>(),
            false => vec![command],
        });
        for command in leaves.filter(|command| !command.is_hide_set() && command.get_name() != "completions") {
            let help = command.clone().render_help().to_string();
            assert!(help.contains("Examples:"), "{help}");
        }
    }

    #[test]
    fn the_protocols_names_are_accepted_and_listed() {
        for state in ["pending", "queued", "started", "ended", "error", "cancelled"] {
            assert!(parse(&format!("estop list --state {state}")).is_ok(), "{state}");
        }
        assert!(parse("estop list --state running").is_err());
        assert!(parse("estop cancel --state started").is_ok() && parse("estop cancel --state ended").is_err());
        assert!(parse("estop projects limit 1 --scope branch_environment --behaviour queue_new").is_ok());
        let error = Cli::try_parse_from(["estop", "list", "--result", "good"]).expect_err("not a result");
        assert!(error.to_string().contains("[possible values: passed, failed]"), "{error}");
    }

    #[test]
    fn ids_are_those_that_the_service_can_have() {
        for line in [
            "estop show ID",
            "estop wait ID",
            "estop watch ID",
            "estop open ID",
            "estop cancel ID",
            "estop kill ID",
            "estop list --before ID",
            "estop list --environment-id ID",
            "estop keys create --project ID --user a --name b --scope run",
            "estop keys list --project ID",
            "estop keys list --before ID",
            "estop keys revoke ID",
            "estop people add a@example.com --project ID --scope run",
            "estop projects list --before ID",
            "estop projects limit ID --scope none",
            "estop webhooks list --project ID",
            "estop webhooks add https://example.com/ --project ID",
            "estop webhooks change ID --off",
            "estop webhooks rotate ID",
            "estop webhooks test ID",
            "estop webhooks delete ID",
            "estop webhooks deliveries ID",
            "estop webhooks redeliver ID",
            "estop environments create --project ID --name a --slug a",
            "estop environments list --project ID",
            "estop environments list --before ID",
        ] {
            let with = |id: &str| parse(&line.replace("ID", id)).map(|_| ());
            assert_eq!((with("1"), with("9007199254740991")), (Ok(()), Ok(())), "{line}");
            for id in ["0", "9007199254740992", "99999999999999999999", "x"] {
                assert_eq!(with(id), Err(clap::error::ErrorKind::ValueValidation), "{line} {id}");
            }
        }
    }

    #[test]
    fn a_webhook_is_changed_in_something_and_not_both_ways() {
        let change = |flags: &str| parse(&format!("estop webhooks change 3 {flags}")).is_ok();
        for good in ["--off", "--event run.error --any-branch", "--address https://example.com/ --environment staging"]
        {
            assert!(change(good), "{good}");
        }
        for bad in ["--json", "--on --off", "--any-branch --branch main", "--any-environment --environment staging"] {
            assert!(!change(bad), "{bad}");
        }
        assert!(!change("--event run.finished"));
    }

    #[test]
    fn a_bucket_moves_to_a_database_or_stays() {
        for good in ["k3 --to 1", "0a-0f --to 511", "k3 --abort", "zz --to 0"] {
            assert!(parse(&format!("estop admin move {good}")).is_ok(), "{good}");
        }
        for bad in ["k3", "k3 --to 512", "k3 --to -1", "K3 --to 1", "k3 --to 1 --abort", "0f-0a --to 1"] {
            assert!(parse(&format!("estop admin move {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_after_the_dashes_is_the_command() {
        let cli = parse("estop run --environment staging -- npx playwright test --grep -x").expect("a command line");
        let Command::Run(args) = cli.command else { panic!("not run") };
        assert_eq!((args.program(), args.arguments().join(" ").as_str()), ("npx", "playwright test --grep -x"));
        assert!(parse("estop run --environment staging").is_err());
    }

    #[test]
    fn runs_are_cancelled_by_id_or_by_filter() {
        assert!(parse("estop cancel 7").is_ok());
        assert!(parse("estop cancel 7 8 --reason x").is_ok());
        assert!(parse("estop cancel --branch main --dry-run").is_ok());
        assert!(parse("estop cancel").is_err());
        assert!(parse("estop cancel --dry-run").is_err());
        assert!(parse("estop cancel 7 --branch main").is_err());
        assert!(parse("estop cancel 7 --limit 3").is_err() && parse("estop cancel --limit 3").is_err());
        assert!(parse("estop cancel --branch main --limit 5000 --yes").is_ok());
        assert!(parse("estop cancel 0").is_err() && parse("estop cancel x").is_err());
        assert!(parse("estop cancel 7 --wait --timeout 2m").is_ok() && parse("estop cancel 7 --timeout 60").is_err());
        assert!(
            parse("estop cancel --branch main --wait").is_err() && parse("estop cancel 7 --wait --dry-run").is_err()
        );
    }
}
