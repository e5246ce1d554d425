//! What a CI system's environment variables say about the run: a pure function with one arm per system.

use std::collections::HashMap;

use estop_protocol::limits;

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
}

/// Reads the variables of GitHub Actions, GitLab CI, Buildkite or CircleCI; elsewhere everything is `None`.
pub fn context(variables: &HashMap<String, String>) -> CiContext {
    let get = |name: &str| variables.get(name).map(|v| v.trim().to_owned()).filter(|v| is_acceptable(v));
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
            run_id: get("BUILDKITE_BUILD_ID"),
        }
    } else if is("CIRCLECI") {
        CiContext {
            branch: get("CIRCLE_BRANCH"),
            commit: get("CIRCLE_SHA1"),
            commit_url: None,
            build_url: get("CIRCLE_BUILD_URL"),
            actor: get("CIRCLE_USERNAME"),
            run_id: get("CIRCLE_WORKFLOW_ID"),
        }
    } else {
        CiContext::default()
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
        CiContext { branch, commit, commit_url, build_url, actor, run_id }
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
