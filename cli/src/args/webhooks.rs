//! `estop webhooks`.

use clap::{ArgGroup, Args, Subcommand};
use estop_protocol::webhooks::{WebhookEvent, WebhookFormat};

use super::values::{id, one_of};

#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// List a project's webhooks, newest first, and whether they work
    #[command(after_help = "Examples:\n  estop webhooks list --project 1")]
    List {
        /// The project, by id
        #[arg(long, value_name = "ID", value_parser = id())]
        project: i64,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a webhook. Its secret is printed once and cannot be retrieved later
    Add(AddWebhookArgs),
    /// Change a webhook, or switch it off and on. What is not given stays as it is
    Change(ChangeWebhookArgs),
    /// Give a webhook a new secret. For 24 hours the one before it is valid, too
    #[command(after_help = "Examples:\n  estop webhooks rotate 3")]
    Rotate {
        /// The webhook's id
        #[arg(value_parser = id())]
        id: i64,
        /// Print only the secret
        #[arg(long, conflicts_with = "json")]
        secret_only: bool,
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a webhook a test event, and say what came of it
    #[command(after_help = "\
Exit codes: 0 the webhook has it, 1 it does not, 122 the webhook is switched off, 124 nothing is known after 30 s.

Examples:
  estop webhooks test 3")]
    Test {
        /// The webhook's id
        #[arg(value_parser = id())]
        id: i64,
        /// Print the delivery as the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a webhook. Nothing more is sent, and its deliveries are forgotten
    #[command(after_help = "Examples:\n  estop webhooks delete 3")]
    Delete {
        /// The webhook's id
        #[arg(value_parser = id())]
        id: i64,
    },
    /// List the last 100 deliveries of a webhook, newest first
    #[command(
        after_help = "Examples:\n  estop webhooks deliveries 3\n  estop webhooks deliveries 3 --json | jq -r '.data.deliveries[0].answer'"
    )]
    Deliveries {
        /// The webhook's id
        #[arg(value_parser = id())]
        id: i64,
        /// Print the service's JSON, which also has what the webhook answered
        #[arg(long)]
        json: bool,
    },
    /// Send once more what was delivered or given up, and say what came of it
    #[command(after_help = "\
Exit codes: 0 the webhook has it, 1 it does not, 122 it cannot be sent now, 124 nothing is known after 30 s.

Examples:
  estop webhooks redeliver 1207")]
    Redeliver {
        /// The delivery's id
        #[arg(value_parser = id())]
        id: i64,
        /// Print the new delivery as the service's JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Whoever knows the address of a Slack webhook can write to its channel: `-` keeps it out of process listings.

Examples:
  estop webhooks add https://example.com/hooks --project 1
  estop webhooks add https://example.com/hooks --project 1 --event run.cancelled --event run.stopped --branch 'release/*'
  estop webhooks add - --project 1 --format slack < slack-address.txt")]
pub struct AddWebhookArgs {
    /// Where to: an address that begins with https://, or - to read it from standard input
    pub address: String,
    /// The project that it hears of, by id
    #[arg(long, value_name = "ID", value_parser = id())]
    pub project: i64,
    /// What it hears; repeatable [default: everything]
    #[arg(long = "event", value_name = "EVENT", value_parser = one_of(WebhookEvent::ALL, WebhookEvent::name))]
    pub events: Vec<WebhookEvent>,
    /// Only of runs in this environment, by slug
    #[arg(long, value_name = "SLUG")]
    pub environment: Option<String>,
    /// Only of runs of the branches that this pattern matches, as in 'release/*'
    #[arg(long, value_name = "PATTERN")]
    pub branch: Option<String>,
    /// What is sent [default: standard]
    #[arg(long, value_name = "FORMAT", value_parser = one_of(WebhookFormat::ALL, WebhookFormat::name))]
    pub format: Option<WebhookFormat>,
    /// Print only the secret
    #[arg(long, conflicts_with = "json")]
    pub secret_only: bool,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  estop webhooks change 3 --address https://example.com/other
  estop webhooks change 3 --event run.error --any-environment
  estop webhooks change 3 --off
  estop webhooks change 3 --on",
    group = ArgGroup::new("what").required(true).multiple(true)
        .args(["address", "events", "environment", "any_environment", "branch", "any_branch", "format", "off", "on"])
)]
pub struct ChangeWebhookArgs {
    /// The webhook's id
    #[arg(value_parser = id())]
    pub id: i64,
    /// Where to, or - to read it from standard input
    #[arg(long)]
    pub address: Option<String>,
    /// What it hears from now on; repeatable
    #[arg(long = "event", value_name = "EVENT", value_parser = one_of(WebhookEvent::ALL, WebhookEvent::name))]
    pub events: Vec<WebhookEvent>,
    /// Only of runs in this environment, by slug
    #[arg(long, value_name = "SLUG", conflicts_with = "any_environment")]
    pub environment: Option<String>,
    /// Of runs in any environment
    #[arg(long)]
    pub any_environment: bool,
    /// Only of runs of the branches that this pattern matches
    #[arg(long, value_name = "PATTERN", conflicts_with = "any_branch")]
    pub branch: Option<String>,
    /// Of runs of any branch
    #[arg(long)]
    pub any_branch: bool,
    /// What is sent
    #[arg(long, value_name = "FORMAT", value_parser = one_of(WebhookFormat::ALL, WebhookFormat::name))]
    pub format: Option<WebhookFormat>,
    /// Switch it off: what happens meanwhile is not sent later
    #[arg(long, conflicts_with = "on")]
    pub off: bool,
    /// Switch it on
    #[arg(long)]
    pub on: bool,
    /// Print the service's JSON
    #[arg(long)]
    pub json: bool,
}
