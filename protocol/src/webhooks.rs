//! A project's webhooks, and what became of what they were sent.

use serde::{Deserialize, Deserializer, Serialize};

use crate::run::words;
use crate::time::Timestamp;

words! {
    /// What a webhook can hear of a run.
    WebhookEvent {
        /// A runner has claimed the first of it.
        Started = "run.started",
        /// Someone or something cancelled it.
        Cancelled = "run.cancelled",
        /// Its runners have stopped since, or are given up.
        Stopped = "run.stopped",
        /// It is over: it passed or failed.
        Ended = "run.ended",
        /// It is over: it broke.
        Error = "run.error",
    }
}

words! {
    /// What is sent.
    WebhookFormat {
        /// `{type, timestamp, data}`, as Standard Webhooks have it.
        Standard = "standard",
        /// `{text}`, as Slack's incoming webhooks take it.
        Slack = "slack",
    }
}

words! {
    /// Why a webhook is switched off.
    WhyDisabled {
        /// An admin switched it off.
        Admin = "admin",
        /// It answered 410 (Gone).
        Gone = "gone",
        /// It failed for five days.
        Failing = "failing",
    }
}

words! {
    /// Where a delivery is.
    DeliveryState {
        /// An earlier event of the same run comes first.
        Waiting = "waiting",
        /// There is an attempt to come.
        Due = "due",
        /// The receiver answered 2xx.
        Delivered = "delivered",
        /// Given up.
        Failed = "failed",
    }
}

words! {
    /// Why an attempt failed.
    DeliveryFailure {
        /// The answer's status was none of 2xx.
        Status = "status",
        /// The answer sends us elsewhere, and that is not followed.
        Redirect = "redirect",
        /// There was no whole answer in time.
        Timeout = "timeout",
        /// There was no connection, or it broke.
        Unreachable = "unreachable",
        /// The webhook was switched off or deleted before it went out.
        SwitchedOff = "switched_off",
    }
}

/// A webhook to be created.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhookRequest {
    /// Where to: https, at most [`crate::limits::WEBHOOK_URL_CHARS`] characters.
    pub url: String,
    /// What it hears; without it, everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<WebhookEvent>>,
    /// Only of runs in the environment with this slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only of runs of a branch that this pattern matches; at most [`crate::limits::BRANCH_PATTERN_BYTES`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What is sent; without it, `standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<WebhookFormat>,
}

/// A change of a webhook; what is not given stays.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeWebhookRequest {
    /// Where to, as in [`CreateWebhookRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it hears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<WebhookEvent>>,
    /// The environment's slug; `null` for all environments.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub environment: Option<Option<String>>,
    /// The branch pattern; `null` for all branches.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub branch: Option<Option<String>>,
    /// What is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<WebhookFormat>,
    /// Whether it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// Reads a field that is there, `null` or not: one that is missing is told apart from it.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A webhook.
#[derive(Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: i64,
    /// The project that it hears of.
    pub project_id: i64,
    /// Where to.
    pub url: String,
    /// What it hears.
    pub events: Vec<WebhookEvent>,
    /// The slug of the only environment that it hears of; all if there is none.
    pub environment: Option<String>,
    /// The pattern of the branches that it hears of; all if there is none.
    pub branch: Option<String>,
    /// What is sent.
    pub format: WebhookFormat,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Why.
    pub disabled_why: Option<WhyDisabled>,
    /// Since when.
    pub disabled_at: Option<Timestamp>,
    /// The first failure since it last worked.
    pub failing_since: Option<Timestamp>,
    /// Until then what is sent is signed with the secret before this one, too.
    pub previous_secret_until: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The answer to a change.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneWebhook {
    /// The webhook.
    pub webhook: Webhook,
}

/// The answer to a creation, and to a change of the secret: the only one that holds the secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// What is sent is signed with this.
    pub secret: String,
}

/// A project's webhooks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Webhooks {
    /// Newest first; [`crate::limits::WEBHOOKS`] at most.
    pub webhooks: Vec<Webhook>,
}

/// What a webhook was sent, or is to be.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: i64,
    /// The webhook.
    pub webhook_id: i64,
    /// The run that it is about; none for a test.
    pub test_run: Option<i64>,
    /// The event: one of [`WebhookEvent`], or `test`.
    pub event: String,
    /// The `webhook-id` of every attempt, and of every redelivery.
    pub message_id: String,
    /// When the event was.
    pub at: Timestamp,
    /// When this was written.
    pub created_at: Timestamp,
    /// The delivery that was sent once more.
    pub redelivers: Option<i64>,
    /// Where it is.
    pub state: DeliveryState,
    /// When the next attempt is due; while one is under way, when it is taken for lost.
    pub next_attempt_at: Option<Timestamp>,
    /// How many attempts have begun.
    pub attempts: i64,
    /// When the last one ended.
    pub attempted_at: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// Why the last attempt failed.
    pub failure: Option<DeliveryFailure>,
    /// The first [`crate::limits::WEBHOOK_ANSWER_BYTES`] bytes of the last answer.
    pub answer: Option<String>,
}

/// The answer to a test and to a redelivery.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneDelivery {
    /// What was written; it goes out right after this answer.
    pub delivery: Delivery,
}

/// The last deliveries of a webhook.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deliveries {
    /// Newest first; [`crate::limits::DELIVERIES`] at most.
    pub deliveries: Vec<Delivery>,
}
