//! `estop run`.

use std::path::PathBuf;

use clap::Args;
use estop_protocol::limits;

use super::PushArgs;
use super::values::{MetadataEntry, Shard};

const EXAMPLES: &str = "\
Branch, commit, build URL, actor and CI run id are read from GitHub Actions, GitLab CI, Buildkite and CircleCI; flags override them.
COMMAND gets the run's id in ESTOP_RUN_ID. It gets neither ESTOP_ADMIN_TOKEN nor, without --pass-key, ESTOP_KEY.
With a reporter, tests tell how far they are and which have failed (file in ESTOP_PROGRESS), and learn why they are stopped (file in ESTOP_STOP).
CMD of --on-stop gets the same, and who cancelled the run and why in ESTOP_CANCEL_BY and ESTOP_CANCEL_REASON.
A cancel reaches COMMAND at once, over a WebSocket. Where a network breaks those it takes up to two seconds; --no-push tries none.
If estop itself is killed, its guard process stops COMMAND in the same way.

Examples:
  estop run --environment staging -- npx playwright test
  estop run --environment staging --shard 2/4 -- npx playwright test --shard=2/4
  estop run --environment staging --fail-fast 10 -- npx playwright test
  estop run --environment staging --junit 'reports/**/*.xml' -- make e2e
  estop run --environment staging --tag nightly --metadata suite=checkout -- make e2e
  estop run --environment production --exclusive --grace 15 -- sh -c 'npm ci && npm run e2e'
  estop run --environment staging --on-stop './delete-test-data $ESTOP_RUN_ID' -- make e2e";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The environment that the tests run against, by slug
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
    /// A label for the run; repeatable
    #[arg(long = "tag", value_name = "WORD", help_heading = "What is under test")]
    pub tags: Vec<String>,
    /// Your own name and value; repeatable. Numbers stay numbers
    #[arg(long, value_name = "NAME=VALUE", help_heading = "What is under test")]
    pub metadata: Vec<MetadataEntry>,
    /// Who triggered the job
    #[arg(long, value_name = "NAME", help_heading = "What is under test")]
    pub actor: Option<String>,
    /// Which shard of how many this is, like 2/4 [default: what GitLab CI, CircleCI or Buildkite says of parallel jobs, else 1/1]
    #[arg(long, env = "ESTOP_SHARD", value_name = "I/N", help_heading = "Shards")]
    pub shard: Option<Shard>,
    /// What all shards of one run have in common and no other run has [default: made of the CI's repository, run id and job]
    #[arg(long, env = "ESTOP_GROUP", value_name = "TEXT", help_heading = "Shards")]
    pub group: Option<String>,
    /// Which attempt of the group this is [default: what GitHub Actions or Buildkite says]
    #[arg(long, env = "ESTOP_ATTEMPT", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=limits::ATTEMPTS), help_heading = "Shards")]
    pub attempt: Option<i64>,
    /// Cancel the run, all of its shards, once N tests have failed, as the tests tell by ESTOP_PROGRESS
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=limits::FAIL_FAST), help_heading = "Shards")]
    pub fail_fast: Option<i64>,
    /// Once COMMAND has ended, count its tests by this JUnit XML report, or by those that match a pattern, unless they told by ESTOP_PROGRESS; repeatable
    #[arg(long, value_name = "FILE")]
    pub junit: Vec<String>,
    /// Never let a newer run supersede this one (concurrency limits)
    #[arg(long)]
    pub protected: bool,
    /// Leave ESTOP_KEY in COMMAND's environment
    #[arg(long)]
    pub pass_key: bool,
    /// The runner's name, for the record [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub runner: Option<String>,
    /// Time between SIGINT and SIGTERM [default: what the stop order says, else 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "Stopping")]
    pub grace: Option<u64>,
    /// Time between SIGTERM and SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "Stopping")]
    pub kill_after: u64,
    /// Once a cancelled run's processes are gone, run CMD with `sh -c` before the stop is confirmed, to clean up
    #[arg(long, value_name = "CMD", help_heading = "Stopping")]
    pub on_stop: Option<String>,
    /// How long CMD may take before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "on_stop", value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "Stopping")]
    pub on_stop_timeout: u64,
    /// Do not start COMMAND if the service is unavailable (exit code 122)
    #[arg(long, help_heading = "If the service is unavailable")]
    pub require_service: bool,
    /// Stop COMMAND when its lease runs out, because another run of its concurrency group may start then (exit code 121). Implies --require-service
    #[arg(long, help_heading = "If the service is unavailable")]
    pub exclusive: bool,
    /// How long to try to reach the service before COMMAND starts
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "If the service is unavailable")]
    pub start_within: u64,
    /// How long to try to record the result [default: two leases of the service, at least 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400), help_heading = "If the service is unavailable")]
    pub finish_within: Option<u64>,
    /// Where to leave a result that could not be recorded, as estop-finish-ID.json for `estop finish` [default: the current directory]
    #[arg(long, value_name = "DIRECTORY", help_heading = "If the service is unavailable")]
    pub finish_file: Option<PathBuf>,
    #[command(flatten)]
    pub push: PushArgs,
    /// The test command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl RunArgs {
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    pub fn arguments(&self) -> &[String] {
        self.command.get(1..).unwrap_or_default()
    }
}
