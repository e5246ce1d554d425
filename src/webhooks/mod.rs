//! What goes out to a project's webhooks, and to GitHub. The schema writes the outbox (`deliveries`) together with the change
//! that it tells of; here it is emptied: taken, composed, signed, sent and recorded.
//!
//! Each delivery is taken by one guarded UPDATE, with a lease, so that nobody else sends it meanwhile. If the Worker dies on the
//! way, it is due again once the lease is over, with the same id: a receiver hears of each event at least once.

pub mod address;
pub mod github;
pub mod plan;
pub mod signature;
pub mod slack;
pub mod told;

use estop_protocol::time::Timestamp;
use estop_protocol::webhooks::{DeliveryFailure, DeliveryState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::config::Config;
use crate::database::Database;
use crate::http::json;
use crate::runtime::{DbError, LocalFuture, Runtime, Sql, Statement, sql};
use plan::{Heard, Next};
use signature::Secret;
use told::Told;

const TAKE_FRESH: Sql = sql!("webhooks/take_fresh.sql");
const TAKE_DUE: Sql = sql!("webhooks/take_due.sql");
const RECORD: Sql = sql!("webhooks/record.sql");
const REMEMBER: Sql = sql!("webhooks/remember.sql");
const PRUNE: Sql = sql!("webhooks/prune.sql");
const END_SWITCHED_OFF: Sql = sql!("webhooks/end_switched_off.sql");
const FORGET: Sql = sql!("webhooks/forget.sql");

/// How long a receiver has for its answer, all of it. Milliseconds.
pub const DEADLINE: i64 = 10_000;

/// How long nobody else takes what is taken: longer than it can take to send and to record. Milliseconds.
pub const LEASE: i64 = 60_000;

/// How many are sent at once: a Worker has six connections at a time, and what waits for one loses its time.
pub const AT_ONCE: i64 = 6;

/// How many requests to others a Worker may make on Cloudflare's free plan, for one of its own or with one tick.
const MOST_CALLS: u32 = 50;

/// How many of them [`AT_ONCE`] deliveries can take: one each, two for a token of GitHub's, and
/// one to look whether a workflow run was started once more.
const CALLS_A_ROUND: u32 = 24;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Post {
    /// The HTTP method.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The token of GitHub's that it needs.
    pub grant: Option<github::Grant>,
    /// Only if the workflow run at GitHub has not been started once more since then.
    pub unless_started_after: Option<String>,
}

/// What sends it. On Workers it is `edge`; in native tests, a receiver that they make up.
pub trait Sender {
    /// Sends all of these at once, and says what was heard of each, in the same order.
    fn send<'a>(&'a self, posts: &'a [Post]) -> LocalFuture<'a, Vec<Heard>>;
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What a request has just brought: right after its answer.
    Fresh,
    /// Whatever is due, and what a request could not send: with each tick.
    Due,
}

impl Which {
    /// For how many rounds, and for how many milliseconds at most. What is left is for the next tick. Workers gives 30 seconds
    /// after an answer.
    fn limits(self) -> (u32, i64) {
        match self {
            Self::Fresh => (4, 14_000),
            Self::Due => (4, 30_000),
        }
    }

    fn take(self, now: Timestamp) -> Statement<'static> {
        let lease = now.plus(LEASE).0.into();
        match self {
            Self::Fresh => Statement::new(TAKE_FRESH, vec![lease, AT_ONCE.into(), now.0.into()]),
            Self::Due => Statement::new(TAKE_DUE, vec![now.0.into(), lease, AT_ONCE.into()]),
        }
    }
}

/// A delivery that was taken.
#[derive(Deserialize)]
struct Taken {
    id: i64,
    attempt: i64,
    webhook_id: i64,
    url: String,
    generation: i64,
    previous_until: Option<i64>,
    event: String,
    message_id: String,
    at: String,
    data: Box<RawValue>,
    /// What a sentence tells, for Slack or for GitHub.
    told: Option<Told>,
    /// What is written at GitHub, if that is where it goes.
    github: Option<github::Target>,
}

/// How an attempt ended, for record.sql.
#[derive(Serialize)]
struct Ended<'a> {
    id: i64,
    webhook_id: i64,
    attempt: i64,
    state: DeliveryState,
    due_at: Option<i64>,
    status: Option<u16>,
    failure: Option<DeliveryFailure>,
    answer: Option<&'a str>,
}

/// What was sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Attempts that the receiver acknowledged.
    pub delivered: usize,
    /// Attempts that failed.
    pub failed: usize,
}

/// Sends what is to be sent at `now`.
///
/// # Errors
/// What was sent so far and why the database ended it. What was taken is due again once its lease is over.
pub async fn deliver(
    database: &Database<'_>,
    sender: &dyn Sender,
    which: Which,
    now: Timestamp,
) -> Result<Tally, (Tally, DbError)> {
    let Database { runtime, config, .. } = *database;
    let mut tally = Tally::default();
    // Without the secret nothing can be signed.
    let Some(secret) = config.webhook_secret.as_deref() else { return Ok(tally) };
    let begun = runtime.elapsed();
    let clock = || now.plus(runtime.elapsed() - begun);
    let (rounds, span) = which.limits();
    let mut statements = match which {
        Which::Fresh => Vec::new(),
        Which::Due => {
            vec![Statement::new(FORGET, vec![1.into()]), Statement::new(END_SWITCHED_OFF, vec![1.into(), now.0.into()])]
        }
    };
    statements.push(which.take(now));
    let take = statements.len() - 1;
    let rows = database.batch(statements).await.map_err(|error| (tally, error))?;
    let mut taken: Vec<Taken> = rows.all(take).map_err(|error| (tally, error))?;
    let mut calls = 0;
    for round in 1..=rounds {
        if taken.is_empty() {
            break;
        }
        let sent_at = clock();
        let posts: Vec<Post> = taken.iter().map(|taken| taken.post(config, secret, sent_at)).collect();
        let heard = sender.send(&posts).await;
        let now = clock();
        calls += heard.iter().map(|heard| heard.calls).sum::<u32>();
        let has_calls = calls + CALLS_A_ROUND <= MOST_CALLS;
        let goes_on = has_calls && round < rounds && runtime.elapsed() - begun < span;
        let ended: Vec<Ended> =
            taken.iter().zip(&heard).map(|(taken, heard)| taken.ended(heard, now, chance(runtime))).collect();
        tally.delivered += ended.iter().filter(|ended| ended.state == DeliveryState::Delivered).count();
        tally.failed += ended.iter().filter(|ended| ended.state != DeliveryState::Delivered).count();
        let (ended, webhooks) = (json(&ended), json(&taken.iter().map(|taken| taken.webhook_id).collect::<Vec<_>>()));
        let made: Vec<_> = taken
            .iter()
            .zip(&heard)
            .filter_map(|(taken, heard)| taken.github.as_ref()?.made(taken.told.as_ref()?, heard))
            .collect();
        let made = (!made.is_empty()).then(|| json(&made));
        let mut statements = vec![
            Statement::new(RECORD, vec![ended.as_str().into(), now.0.into()]),
            Statement::new(PRUNE, vec![webhooks.as_str().into()]),
        ];
        statements.extend(made.as_deref().map(|made| Statement::new(REMEMBER, vec![made.into()])));
        let take = statements.len();
        if goes_on {
            statements.push(which.take(now));
        }
        let rows = database.batch(statements).await.map_err(|error| (tally, error))?;
        taken = if goes_on { rows.all(take).map_err(|error| (tally, error))? } else { Vec::new() };
    }
    Ok(tally)
}

impl Taken {
    /// What is sent of it at `now`. The body is the same with every attempt.
    fn post(&self, config: &Config, webhook_secret: &str, now: Timestamp) -> Post {
        if let Some((target, told)) = self.github.as_ref().zip(self.told.as_ref()) {
            return target.post(told, &self.event, config.github_api.as_deref());
        }
        #[derive(Serialize)]
        struct Message<'a> {
            r#type: &'a str,
            timestamp: &'a str,
            data: &'a RawValue,
        }
        #[derive(Serialize)]
        struct SlackMessage {
            text: String,
        }
        let body = match &self.told {
            None => json(&Message { r#type: &self.event, timestamp: &self.at, data: &self.data }),
            Some(told) => json(&SlackMessage { text: told.text(&self.event) }),
        };
        let mut secrets = vec![Secret::derived(webhook_secret, self.webhook_id, self.generation)];
        if self.previous_until.is_some_and(|until| until > now.0) {
            secrets.push(Secret::derived(webhook_secret, self.webhook_id, self.generation - 1));
        }
        let mut headers =
            vec![("content-type", "application/json".to_owned()), ("user-agent", "estop-webhooks".to_owned())];
        headers.extend(signature::headers(&secrets, &self.message_id, now, &body));
        Post { method: "POST", url: self.url.clone(), headers, body, grant: None, unless_started_after: None }
    }

    fn ended<'a>(&self, heard: &'a Heard, now: Timestamp, chance: f64) -> Ended<'a> {
        let is_done = self.github.as_ref().is_some_and(|target| target.needs_nothing_more(heard));
        let Next { state, due_at, failure } =
            if is_done { Next::DELIVERED } else { plan::next(heard, self.attempt, now, chance) };
        let (status, answer) = (heard.status, heard.body.as_deref());
        let (id, webhook_id, attempt) = (self.id, self.webhook_id, self.attempt);
        Ended { id, webhook_id, attempt, state, due_at: due_at.map(|at| at.0), status, failure, answer }
    }
}

/// A random number from 0 to 1.
fn chance(runtime: &dyn Runtime) -> f64 {
    let mut bytes = [0; 4];
    runtime.random(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
