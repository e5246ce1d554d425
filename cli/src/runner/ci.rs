//! What a CI system's environment variables say about the run: a pure function with one arm per system.

use std::collections::HashMap;

use estop_protocol::limits;

use crate::args::Shard;

/// What a CI system says about the job. Flags override it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CiContext {
    pub branch: Option<String>,
    pub commit: Option<String>,
    /// A page that shows the commit.
    pub commit_url: Option<String>,
    /// The job's page.
    pub build_url: Option<String>,
    /// Who triggered the job.
    pub actor: Option<String>,
    /// The CI system's own id, shared by all jobs of a pipeline.
    pub run_id: Option<String>,
    /// What all shards of one job have in common: provider, repository, run id and job.
    pub group: Option<String>,
    /// Which attempt of that this is, where the CI system counts them.
    pub attempt: Option<i64>,
    /// Which of the job's parallel instances this is, if there are several.
    pub shard: Option<Shard>,
}

/// Reads the variables of GitHub Actions, GitLab CI, Buildkite or CircleCI; elsewhere everything is `None`.
pub fn context(variables: &HashMap<String, String>) -> CiContext {
    let get = |name: &str| variables.get(name).map(|v| v.trim().to_owned()).filter(|v| is_acceptable(v));
    let number = |name: &str| get(name).and_then(|v| v.parse::<i64>().ok());
    // The instances are numbered from `first`.
    let shard = |index: &str, total: &str, first: i64| {
        Shard::new(number(index)?.checked_sub(first)?.checked_add(1)?, number(total)?).filter(|shard| shard.total > 1)
    };
    let is = |name: &str| get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if is("GITHUB_ACTIONS") {
        let repository = get("GITHUB_SERVER_URL").zip(get("GITHUB_REPOSITORY")).map(|(s, r)| format!("{s}/{r}"));
        let page = |kind: &str, id: Option<String>| Some(format!("{}/{kind}/{}", repository.as_ref()?, id?));
        CiContext {
            // On a pull request GITHUB_REF_NAME is `7/merge` and GITHUB_HEAD_REF is its branch; elsewhere that is
            // empty.
            branch: get("GITHUB_HEAD_REF")
                .or_else(|| get("GITHUB_REF_NAME").filter(|_| get("GITHUB_REF_TYPE").as_deref() != Some("tag"))),
            commit: get("GITHUB_SHA"),
            commit_url: page("commit", get("GITHUB_SHA")),
            build_url: page("actions/runs", get("GITHUB_RUN_ID")),
            actor: get("GITHUB_ACTOR"),
            // The job's id in the workflow file, whatever the matrix.
            group: group("github", [get("GITHUB_REPOSITORY"), get("GITHUB_RUN_ID"), get("GITHUB_JOB")]),
            attempt: number("GITHUB_RUN_ATTEMPT"),
            // Its matrix can mean anything.
            shard: None,
            run_id: get("GITHUB_RUN_ID"),
        }
    } else if is("GITLAB_CI") {
        let commit = get("CI_COMMIT_SHA");
        CiContext {
            branch: get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").or_else(|| get("CI_COMMIT_BRANCH")),
            commit_url: get("CI_PROJECT_URL").zip(commit.clone()).map(|(p, c)| format!("{p}/-/commit/{c}")),
            commit,
            build_url: get("CI_JOB_URL").or_else(|| get("CI_PIPELINE_URL")),
            actor: get("GITLAB_USER_LOGIN"),
            group: group(
                "gitlab",
                [get("CI_PROJECT_PATH"), get("CI_PIPELINE_ID"), get("CI_JOB_NAME").map(|job| without_instance(&job))],
            ),
            attempt: None,
            shard: shard("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
            run_id: get("CI_PIPELINE_ID"),
        }
    } else if is("BUILDKITE") {
        CiContext {
            branch: get("BUILDKITE_BRANCH"),
            // A manually triggered build says HEAD until its first checkout.
            commit: get("BUILDKITE_COMMIT").filter(|c| c != "HEAD"),
            commit_url: None,
            build_url: get("BUILDKITE_BUILD_URL"),
            actor: get("BUILDKITE_BUILD_CREATOR"),
            group: group(
                "buildkite",
                [
                    get("BUILDKITE_PIPELINE_SLUG"),
                    get("BUILDKITE_BUILD_ID"),
                    get("BUILDKITE_STEP_ID").or_else(|| get("BUILDKITE_LABEL")),
                ],
            ),
            // It counts the retries of this very job.
            attempt: number("BUILDKITE_RETRY_COUNT").and_then(|retries| retries.checked_add(1)),
            shard: shard("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
            run_id: get("BUILDKITE_BUILD_ID"),
        }
    } else if is("CIRCLECI") {
        CiContext {
            branch: get("CIRCLE_BRANCH"),
            commit: get("CIRCLE_SHA1"),
            commit_url: None,
            build_url: get("CIRCLE_BUILD_URL"),
            actor: get("CIRCLE_USERNAME"),
            group: group(
                "circleci",
                [
                    get("CIRCLE_PROJECT_USERNAME").zip(get("CIRCLE_PROJECT_REPONAME")).map(|(u, r)| format!("{u}/{r}")),
                    get("CIRCLE_WORKFLOW_ID"),
                    get("CIRCLE_JOB"),
                ],
            ),
            // A workflow that is run again has an id of its own.
            attempt: None,
            shard: shard("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
            run_id: get("CIRCLE_WORKFLOW_ID"),
        }
    } else {
        CiContext::default()
    }
}

/// A group, if the run and the job are known: the parts in a row, as many characters as the service takes.
fn group(provider: &str, [repository, run_id, job]: [Option<String>; 3]) -> Option<String> {
    let text = format!("{provider}:{}:{}:{}", repository.unwrap_or_default(), run_id?, job?);
    Some(text.chars().take(limits::NAME_CHARS).collect())
}

/// GitLab's name of a parallel job, `e2e 2/4` or `e2e: [firefox, 2]`, without what tells its instances apart.
fn without_instance(job: &str) -> String {
    let is_fraction = |text: &str| {
        text.split_once('/').is_some_and(|(index, total)| {
            [index, total].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    match (job.rsplit_once(' '), job.split_once(": [")) {
        (Some((name, last)), _) if is_fraction(last) => name.to_owned(),
        (_, Some((name, rest))) if rest.ends_with(']') => name.to_owned(),
        _ => job.to_owned(),
    }
}

/// The same, and of a pull request at GitHub the commit that it brings: `GITHUB_SHA` is then the one that would merge it, which
/// no pull request shows the checks of.
pub fn context_of_job(variables: &HashMap<String, String>) -> CiContext {
    let mut context = context(variables);
    let event = variables.get("GITHUB_EVENT_PATH").filter(|_| variables.contains_key("GITHUB_ACTIONS"));
    if let Some(event) = event.and_then(|path| std::fs::read_to_string(path).ok()) {
        context.take_head_of(&event);
    }
    context
}

impl CiContext {
    fn take_head_of(&mut self, event: &str) {
        let event: serde_json::Value = serde_json::from_str(event).unwrap_or_default();
        let head = event.pointer("/pull_request/head/sha").and_then(serde_json::Value::as_str);
        let (Some(head), Some(merge)) = (head.filter(|head| is_acceptable(head)), &self.commit) else { return };
        self.commit_url = self.commit_url.as_ref().and_then(|url| Some(url.strip_suffix(merge)?.to_owned() + head));
        self.commit = Some(head.to_owned());
    }
}

/// Whether the service accepts it. Nobody typed these values, so one that is too long is dropped instead of failing the
/// registration.
fn is_acceptable(value: &str) -> bool {
    !value.is_empty() && value.chars().count() <= limits::NAME_CHARS && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(variables: &[(&str, &str)]) -> CiContext {
        super::context(&variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn expected(texts: [&str; 6]) -> CiContext {
        let [branch, commit, commit_url, build_url, actor, run_id] =
            texts.map(|t| (!t.is_empty()).then(|| t.to_owned()));
        CiContext { branch, commit, commit_url, build_url, actor, run_id, ..CiContext::default() }
    }

    const GITHUB: [(&str, &str); 7] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_RUN_ID", "19283746"),
        ("GITHUB_SHA", "c0ffee"),
        ("GITHUB_ACTOR", "ada"),
        ("GITHUB_REF_TYPE", "branch"),
    ];

    fn github(more: &[(&str, &str)]) -> CiContext {
        context(&[&GITHUB, more].concat())
    }

    #[test]
    fn github_actions_on_a_push() {
        let context = github(&[("GITHUB_REF_NAME", "main"), ("GITHUB_HEAD_REF", "")]);
        let (commit, run) =
            ("https://github.com/acme/shop/commit/c0ffee", "https://github.com/acme/shop/actions/runs/19283746");
        assert_eq!(context, expected(["main", "c0ffee", commit, run, "ada", "19283746"]));
    }

    #[test]
    fn github_actions_on_a_pull_request_and_on_a_tag() {
        let context = github(&[("GITHUB_REF_NAME", "7/merge"), ("GITHUB_HEAD_REF", "feat/x")]);
        assert_eq!(context.branch.as_deref(), Some("feat/x"));
        let tag = github(&[("GITHUB_REF_NAME", "v1"), ("GITHUB_REF_TYPE", "tag")]);
        assert_eq!(tag.branch, None);
    }

    #[test]
    fn github_actions_on_a_pull_request_names_the_commit_that_it_brings() {
        let file = std::env::temp_dir().join(format!("estop-event-{}.json", std::process::id()));
        let path = file.to_str().expect("a path");
        let variables = [&GITHUB[..], &[("GITHUB_EVENT_PATH", path)]].concat();
        let variables: HashMap<_, _> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        for (event, commit) in [
            (r#"{"action":"opened","pull_request":{"number":7,"head":{"sha":"beef"}}}"#, "beef"),
            (r#"{"ref":"refs/heads/main","after":"c0ffee"}"#, "c0ffee"),
            (r#"{"pull_request":{"head":{"sha":""}}}"#, "c0ffee"),
            ("<html>", "c0ffee"),
        ] {
            std::fs::write(&file, event).expect("a file");
            let context = context_of_job(&variables);
            assert_eq!(context.commit.as_deref(), Some(commit), "{event}");
            let url = format!("https://github.com/acme/shop/commit/{commit}");
            assert_eq!(context.commit_url, Some(url), "{event}");
        }
        std::fs::remove_file(&file).expect("a file");
        assert_eq!(context_of_job(&variables).commit.as_deref(), Some("c0ffee"));
    }

    #[test]
    fn gitlab() {
        let variables = [
            ("GITLAB_CI", "true"),
            ("CI_COMMIT_BRANCH", "main"),
            ("CI_COMMIT_SHA", "c0ffee"),
            ("CI_PROJECT_URL", "https://gitlab.com/acme/shop"),
            ("CI_JOB_URL", "https://gitlab.com/acme/shop/-/jobs/5"),
            ("CI_PIPELINE_URL", "https://gitlab.com/acme/shop/-/pipelines/4"),
            ("GITLAB_USER_LOGIN", "ada"),
            ("CI_PIPELINE_ID", "4"),
        ];
        let (commit, job) = ("https://gitlab.com/acme/shop/-/commit/c0ffee", "https://gitlab.com/acme/shop/-/jobs/5");
        assert_eq!(context(&variables), expected(["main", "c0ffee", commit, job, "ada", "4"]));
        let merge = context(&[&variables[..], &[("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "feat/x")]].concat());
        assert_eq!(merge.branch.as_deref(), Some("feat/x"));
    }

    #[test]
    fn buildkite() {
        let variables = [
            ("BUILDKITE", "true"),
            ("BUILDKITE_BRANCH", "main"),
            ("BUILDKITE_COMMIT", "HEAD"),
            ("BUILDKITE_BUILD_URL", "https://buildkite.com/acme/shop/builds/3"),
            ("BUILDKITE_BUILD_CREATOR", "Ada"),
            ("BUILDKITE_BUILD_ID", "0190-aa"),
        ];
        let url = "https://buildkite.com/acme/shop/builds/3";
        assert_eq!(context(&variables), expected(["main", "", "", url, "Ada", "0190-aa"]));
    }

    #[test]
    fn circleci() {
        let variables = [
            ("CIRCLECI", "true"),
            ("CIRCLE_BRANCH", "main"),
            ("CIRCLE_SHA1", "c0ffee"),
            ("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/shop/9"),
            ("CIRCLE_USERNAME", "ada"),
            ("CIRCLE_WORKFLOW_ID", "77-bb"),
        ];
        let url = "https://circleci.com/gh/acme/shop/9";
        assert_eq!(context(&variables), expected(["main", "c0ffee", "", url, "ada", "77-bb"]));
    }

    fn shards(variables: &[(&str, &str)]) -> (Option<String>, Option<i64>, Option<Shard>) {
        let context = context(variables);
        (context.group, context.attempt, context.shard)
    }

    #[test]
    fn the_shards_of_a_job_have_one_group_and_know_their_numbers() {
        let text = |text: &str| Some(text.to_owned());
        let github = [&GITHUB[..], &[("GITHUB_JOB", "e2e"), ("GITHUB_RUN_ATTEMPT", "2")]].concat();
        assert_eq!(shards(&github), (text("github:acme/shop:19283746:e2e"), Some(2), None));
        let gitlab = |job| {
            let node = [("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4"), ("CI_JOB_NAME", job)];
            shards(
                &[&[("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "acme/shop"), ("CI_PIPELINE_ID", "4")][..], &node]
                    .concat(),
            )
        };
        for job in ["e2e 2/4", "e2e: [firefox, 2]"] {
            assert_eq!(gitlab(job), (text("gitlab:acme/shop:4:e2e"), None, Shard::new(2, 4)), "{job}");
        }
        assert_eq!(gitlab("e2e a/b").0, text("gitlab:acme/shop:4:e2e a/b"));
        let circle = [
            ("CIRCLECI", "true"),
            ("CIRCLE_WORKFLOW_ID", "77-bb"),
            ("CIRCLE_JOB", "e2e"),
            ("CIRCLE_PROJECT_USERNAME", "acme"),
            ("CIRCLE_PROJECT_REPONAME", "shop"),
            ("CIRCLE_NODE_INDEX", "0"),
            ("CIRCLE_NODE_TOTAL", "4"),
        ];
        assert_eq!(shards(&circle), (text("circleci:acme/shop:77-bb:e2e"), None, Shard::new(1, 4)));
        let buildkite = [
            ("BUILDKITE", "true"),
            ("BUILDKITE_PIPELINE_SLUG", "shop"),
            ("BUILDKITE_BUILD_ID", "0190-aa"),
            ("BUILDKITE_STEP_ID", "0190-bb"),
            ("BUILDKITE_RETRY_COUNT", "1"),
            ("BUILDKITE_PARALLEL_JOB", "3"),
            ("BUILDKITE_PARALLEL_JOB_COUNT", "4"),
        ];
        assert_eq!(shards(&buildkite), (text("buildkite:shop:0190-aa:0190-bb"), Some(2), Shard::new(4, 4)));
    }

    #[test]
    fn a_job_that_is_not_parallel_has_no_shard() {
        for (index, total) in [("1", "1"), ("0", "4"), ("5", "4"), ("x", "4"), ("-9223372036854775808", "4")] {
            let variables = [("GITLAB_CI", "true"), ("CI_NODE_INDEX", index), ("CI_NODE_TOTAL", total)];
            assert_eq!(shards(&variables), (None, None, None), "{index}/{total}");
        }
    }

    #[test]
    fn outside_ci_nothing_is_known() {
        assert_eq!(
            context(&[("GITHUB_SHA", "c0ffee"), ("CI", "true"), ("GITHUB_ACTIONS", "false")]),
            CiContext::default()
        );
    }

    #[test]
    fn what_the_service_would_refuse_is_left_out() {
        let long = "x".repeat(256);
        assert_eq!(
            context(&[("CIRCLECI", "true"), ("CIRCLE_BRANCH", &long), ("CIRCLE_SHA1", "a\u{7}")]),
            CiContext::default()
        );
    }
}
