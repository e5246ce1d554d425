//! What goes to GitHub instead of a webhook: a run as a check run, and the order to cancel the workflow run of a run that nobody
//! stops. The repository is the one that an admin gave the project, whatever a run says of itself.

use serde::{Deserialize, Serialize};

use super::Post;
use super::plan::Heard;
use super::told::Told;
use crate::config::GITHUB_API;
use crate::http::json;

/// The longest title, in characters: it is one line of a list.
const TITLE_CHARS: usize = 200;

/// What is to be written where: the view `sent_deliveries` takes it from the project and the run.
#[derive(Debug, Deserialize)]
pub struct Target {
    setting: Setting,
    repo: Option<String>,
    /// The check run that GitHub has of the run, as far as we have heard.
    check_run: Option<i64>,
    workflow_run: Option<i64>,
    registered_at: Option<String>,
    /// The environment's slug, which does not change as its name does: branches can be protected by the name of a check.
    environment: Option<String>,
    commit: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    /// The run that took its place.
    successor: Option<i64>,
}

/// The setting of the project that has it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Setting {
    CheckRuns,
    CancelCi,
}

/// What a token of the App's has to allow: `edge` gets one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Where GitHub's API is.
    pub api: String,
    /// The repository, and no other.
    pub repo: String,
    /// What is written there: `checks` or `actions`.
    pub writes: &'static str,
}

/// A check run that GitHub has made, for remember.sql.
#[derive(Debug, Serialize)]
pub struct CheckRunMade<'a> {
    run: i64,
    id: i64,
    repo: &'a str,
}

#[derive(Serialize)]
struct CheckRun<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_sha: Option<&'a str>,
    details_url: String,
    external_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
}

#[derive(Serialize)]
struct Output {
    title: String,
    summary: String,
}

impl Target {
    /// What is sent of an event. Without an App it leads nowhere, and `edge` says why.
    pub fn post(&self, told: &Told, event: &str, api: Option<&str>) -> Post {
        let api = api.unwrap_or_default();
        let repo = self.repo.clone().unwrap_or_default();
        let base = format!("{api}/repos/{repo}");
        let (method, url, body, writes) = match (self.setting, self.check_run) {
            (Setting::CancelCi, _) => {
                let workflow_run = self.workflow_run.unwrap_or_default();
                ("POST", format!("{base}/actions/runs/{workflow_run}/cancel"), String::new(), "actions")
            }
            (Setting::CheckRuns, Some(id)) if event != "run.started" => {
                ("PATCH", format!("{base}/check-runs/{id}"), json(&self.written(told, event, false)), "checks")
            }
            // If the answer to the creation was lost, there may be a check run already that nobody will complete. GitHub shows the
            // newest of a name, so another one takes its place, also for a required check.
            (Setting::CheckRuns, _) => {
                ("POST", format!("{base}/check-runs"), json(&self.written(told, event, true)), "checks")
            }
        };
        // GitHub Enterprise Server before 3.21 knows no newer one, and github.com not this one from March 2028 on.
        let version = if api == GITHUB_API { "2026-03-10" } else { "2022-11-28" };
        let headers = vec![
            ("accept", "application/vnd.github+json".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "estop".to_owned()),
            ("x-github-api-version", version.to_owned()),
        ];
        // "Re-run jobs" keeps the number of the workflow run.
        let unless_started_after = self.registered_at.clone().filter(|_| self.setting == Setting::CancelCi);
        let grant = Some(Grant { api: api.to_owned(), repo, writes });
        Post { method, url, headers, body, grant, unless_started_after }
    }

    /// Whether an answer that is not 2xx leaves nothing to do: the workflow run is over or was started once more (409), or the
    /// repository has none of this number (404), which then is a key holder's slip and not for the admin to mend.
    pub fn needs_nothing_more(&self, heard: &Heard) -> bool {
        self.setting == Setting::CancelCi && !heard.refused && matches!(heard.status, Some(404 | 409))
    }

    /// The check run that an answer tells of.
    pub fn made(&self, told: &Told, heard: &Heard) -> Option<CheckRunMade<'_>> {
        let ((id, run), repo) = heard.id.zip(told.run).zip(self.repo.as_deref())?;
        (self.setting == Setting::CheckRuns && self.check_run != Some(id)).then_some(CheckRunMade { run, id, repo })
    }

    fn written(&self, told: &Told, event: &str, is_new: bool) -> CheckRun<'_> {
        let is_over = event != "run.started";
        let environment = self.environment.as_deref().unwrap_or_default();
        let run = told.run.unwrap_or_default();
        let details_url = format!("{}/runs/{run}", told.origin);
        let output = || Output { title: self.title(told), summary: summary(told, run, &details_url) };
        CheckRun {
            name: is_new.then(|| format!("estop / {environment}")),
            head_sha: self.commit.as_deref().filter(|_| is_new),
            external_id: run.to_string(),
            status: if is_over { "completed" } else { "in_progress" },
            started_at: self.started_at.as_deref(),
            completed_at: self.completed_at.as_deref().filter(|_| is_over),
            conclusion: is_over.then(|| conclusion(told)),
            output: is_over.then(output),
            details_url,
        }
    }

    fn title(&self, told: &Told) -> String {
        let title = match (told.cause.as_deref(), &told.result, self.successor) {
            (Some("user"), ..) => {
                format!("cancelled by {}{}", told.by.as_deref().unwrap_or("somebody"), said(&told.reason))
            }
            (Some("superseded"), _, Some(successor)) => format!("run {successor} took its place"),
            (Some(_), ..) => format!("cancelled{}", said(&told.reason)),
            (None, Some(result), _) => match told.total.zip(told.failed) {
                Some((total, 0)) => format!("{result}: {total} tests"),
                Some((total, failed)) => format!("{result}: {failed} of {total} tests failed"),
                None => result.clone(),
            },
            (None, None, _) => format!("broke{}", said(&told.error_code).replace('_', " ")),
        };
        let lost = if is_lost(told) { " (its runner is lost)" } else { "" };
        let title: String = title.chars().take(TITLE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        title + lost
    }
}

/// A run that was stopped is not one whose tests failed; nor does `cancelled` open a merge, as `neutral` and `skipped` would. One
/// that broke has not shown that the tests pass, and somebody has to look at it: a failure.
fn conclusion(told: &Told) -> &'static str {
    match (&told.cause, told.result.as_deref()) {
        (Some(_), _) => "cancelled",
        (None, Some("passed")) => "success",
        (None, _) => "failure",
    }
}

/// Of our own words alone: GitHub reads it as Markdown.
fn summary(told: &Told, run: i64, url: &str) -> String {
    let what = match (&told.cause, &told.result) {
        (Some(_), _) if is_lost(told) => {
            "It was stopped, but its runner was not heard of again: whether its tests have ended is not known."
        }
        (Some(_), _) => "It was stopped before its tests were over, so it says nothing of the commit.",
        (None, Some(_)) => "Its tests are over.",
        (None, None) => "It broke before its tests were over, so it says nothing of the commit.",
    };
    format!("[Test run {run}]({url}). {what}")
}

fn is_lost(told: &Told) -> bool {
    told.outcome.as_deref() == Some("lost")
}

fn said(text: &Option<String>) -> String {
    text.as_deref().map(|text| format!(": {text}")).unwrap_or_default()
}
