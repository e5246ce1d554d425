//! `POST /api/github/webhook`: GitHub tells that a pull request was closed or merged, and the runs of its branch are stopped, in
//! the projects that want it. "Validating webhook deliveries" and "Webhook events and payloads" in GitHub's documentation say
//! what comes.

use estop_protocol::github::StoppedRuns;
use serde::Deserialize;

use crate::database::Home;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::operations::directory;
use crate::runtime::{DbError, News, Sql, Statement, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Post,
    pattern: "/api/github/webhook",
    access: Access::GitHub(|call| Box::pin(answer(call))),
};

const CHOOSE: Sql = sql!("github/choose.sql");
const CANCEL_CHOSEN: Sql = sql!("github/cancel_chosen.sql");
const REPORT: Sql = sql!("github/report.sql");
const LEFT_OUT: Sql = sql!("github/left_out.sql");

/// The longest id of a delivery, in characters. GitHub's are UUIDs.
const DELIVERY_CHARS: usize = 100;

/// What matters of the event `pull_request`.
#[derive(Deserialize)]
struct PullRequestEvent {
    action: String,
    number: i64,
    pull_request: PullRequest,
    sender: Sender,
}

#[derive(Deserialize)]
struct PullRequest {
    merged: bool,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    /// None if the fork that it lay in is gone.
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Sender {
    login: String,
}

async fn answer(call: &Call<'_>) -> Outcome {
    let github = call.request.github;
    // Whatever else the webhook is subscribed to is none of our business.
    if github.event != Some("pull_request") {
        return Ok(nothing());
    }
    let delivery = github.delivery.filter(|id| (1..=DELIVERY_CHARS).contains(&id.len()));
    let delivery = delivery.ok_or_else(|| refused("it lacks the header X-GitHub-Delivery"))?;
    let event = serde_json::from_slice::<PullRequestEvent>(call.request.body.map_err(Clone::clone)?);
    let event = event
        .map_err(|_| refused("its body is not the JSON of that event. Set the content type to application/json"))?;
    let PullRequestEvent { action, number, pull_request: PullRequest { merged, head, base }, sender } = event;
    // A fork's branch may have any name, and stops nothing here.
    let (Some(from), Some(into)) = (head.repo, base.repo) else { return Ok(nothing()) };
    if action != "closed" || from.full_name != into.full_name {
        return Ok(nothing());
    }
    let reason = format!("pull request #{number} was {}", if merged { "merged" } else { "closed" });
    let by = format!("github:{}", sender.login);
    let now = call.request.now.0;
    let (repository, branch) = (into.full_name.as_str(), head.name.as_str());
    let choice = vec![delivery.into(), now.into(), repository.into(), branch.into(), by.as_str().into()];
    let statements = [
        Statement::new(CHOOSE, choice),
        Statement::new(CANCEL_CHOSEN, vec![delivery.into(), now.into(), reason.as_str().into()]),
        Statement::new(REPORT, vec![delivery.into()]),
        Statement::new(LEFT_OUT, vec![repository.into()]),
    ];
    #[derive(Deserialize)]
    struct Cancelled {
        id: i64,
        news: Option<News>,
    }
    let (mut stopped, mut failure) = (Vec::new(), None);
    // Any database may have a project of this repository. What one has done stands, whatever becomes of the others: a delivery that is
    // sent again is known there.
    for (number, answer) in directory::everywhere(call, &statements).await {
        match answer.and_then(|rows| Ok((rows.all(2)?, rows.first::<u8>(3)?))) {
            Ok((cancelled, left_out)) => {
                failure = failure.or(left_out.map(|_| DbError::Moving));
                for Cancelled { id, news } in cancelled {
                    directory::at(call, Home::Database(number)).tell(news);
                    stopped.push(id);
                }
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if let Some(error) = failure {
        return Err(error.into());
    }
    Ok(told(if stopped.is_empty() { "ignored" } else { "cancelled" }, stopped))
}

fn nothing() -> Reply {
    told("ignored", Vec::new())
}

fn told(outcome: &'static str, stopped: Vec<i64>) -> Reply {
    Reply::data(outcome, StoppedRuns { stopped })
}

fn refused(why: &str) -> ApiError {
    ApiError::Invalid(format!("This is not a delivery of GitHub's event `pull_request`: {why}."))
}
