//! `estop run`.

use clap::Args;

use crate::runner::ci::Facts;
use crate::runner::registration::{Flags, Metadata};

const EXAMPLES: &str = "\
Branch, commit, build URL, actor and CI run id are read from GitHub Actions, GitLab CI, Buildkite and CircleCI; flags win.
COMMAND finds the run's id in ESTOP_RUN_ID.

Examples:
  estop run --environment staging -- npx playwright test
  estop run --environment staging --tag nightly --metadata suite=checkout -- make e2e
  estop run --environment production --require-service --grace 30 -- sh -c 'npm ci && npm run e2e'";

/// Options of `estop run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The environment that the tests run against, by its slug
    #[arg(long, short, env = "ESTOP_ENVIRONMENT", value_name = "SLUG")]
    pub environment: String,
    /// The branch under test
    #[arg(long, value_name = "NAME", help_heading = "What is under test")]
    pub branch: Option<String>,
    /// The commit under test
    #[arg(long, value_name = "SHA", help_heading = "What is under test")]
    pub commit: Option<String>,
    /// A page that shows the commit
    #[arg(long, value_name = "URL", help_heading = "What is under test")]
    pub commit_url: Option<String>,
    /// Where the build is served, or the CI job's page
    #[arg(long, value_name = "URL", help_heading = "What is under test")]
    pub build_url: Option<String>,
    /// The version under test
    #[arg(long, value_name = "TEXT", help_heading = "What is under test")]
    pub build_version: Option<String>,
    /// A word that says what kind of run it is, for the record; can be repeated
    #[arg(long = "tag", value_name = "WORD", help_heading = "What is under test")]
    pub tags: Vec<String>,
    /// A name and value of your own; can be repeated. Numbers stay numbers
    #[arg(long, value_name = "NAME=VALUE", help_heading = "What is under test")]
    pub metadata: Vec<Metadata>,
    /// Who set off the job
    #[arg(long, value_name = "NAME", help_heading = "What is under test")]
    pub actor: Option<String>,
    /// How many shards report
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000), help_heading = "What is under test")]
    pub shards: Option<i64>,
    /// No newer run may take this one's place (concurrency limits)
    #[arg(long)]
    pub protected: bool,
    /// This runner's name, for the record [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub runner: Option<String>,
    /// From SIGINT to SIGTERM [default: what the stop order says, else 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "Stopping")]
    pub grace: Option<u64>,
    /// From SIGTERM to SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "Stopping")]
    pub kill_after: u64,
    /// Do not start COMMAND when the service is away (exit code 122)
    #[arg(long, help_heading = "When the service is away")]
    pub require_service: bool,
    /// How long to try to reach the service before COMMAND starts
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "When the service is away")]
    pub start_within: u64,
    /// How long to try to record the result
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "When the service is away")]
    pub finish_within: u64,
    /// The tests
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl RunArgs {
    /// COMMAND's first word.
    pub fn program(&self) -> String {
        self.command.first().cloned().unwrap_or_default()
    }

    /// COMMAND's other words.
    pub fn arguments(&self) -> &[String] {
        self.command.get(1..).unwrap_or_default()
    }

    /// What the flags say of the run.
    pub fn facts(&self) -> Facts {
        Facts {
            branch: self.branch.clone(),
            commit: self.commit.clone(),
            commit_url: self.commit_url.clone(),
            build_url: self.build_url.clone(),
            actor: self.actor.clone(),
            run_id: None,
        }
    }

    /// What else they say.
    pub fn flags(&self) -> Flags {
        Flags {
            environment: self.environment.clone(),
            build_version: self.build_version.clone(),
            tags: self.tags.clone(),
            metadata: self.metadata.clone(),
            shards: self.shards,
            protected: self.protected,
        }
    }

    /// The runner's name: as given, or the host's.
    pub fn runner_name(&self) -> Option<String> {
        let host = || rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
        self.runner.clone().or_else(host).filter(|name| !name.trim().is_empty())
    }
}
