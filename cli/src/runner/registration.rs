//! What a run is registered with: the flags, and where they say nothing, what the CI system's variables say.

use estop_protocol::register::{Build, RegisterRequest};
use estop_protocol::whole::Whole;
use serde_json::{Map, Value};

use super::ci::CiContext;
use crate::args::{RunArgs, number_or_text};

pub fn request(args: &RunArgs, ci: &CiContext) -> RegisterRequest {
    let branch = args.branch.clone().or_else(|| ci.branch.clone());
    let build = Build {
        url: args.build_url.clone().or_else(|| ci.build_url.clone()),
        branch: None,
        commit: args.commit.clone().or_else(|| ci.commit.clone()),
        commit_url: args.commit_url.clone().or_else(|| ci.commit_url.clone()),
        version: args.build_version.clone(),
    };
    // The API takes a branch alone or in a build, never both.
    let (branch, build) =
        if build == Build::default() { (branch, None) } else { (None, Some(Build { branch, ..build })) };
    RegisterRequest {
        environment: args.environment.clone(),
        build,
        branch,
        metadata: metadata(args, ci),
        tags: (!args.tags.is_empty()).then(|| args.tags.clone()),
        github_actor: args.actor.clone().or_else(|| ci.actor.clone()),
        total_shards: args.shards.map(Whole),
        protected: args.protected.then_some(true),
    }
}

fn metadata(args: &RunArgs, ci: &CiContext) -> Option<Map<String, Value>> {
    let ci_run_id = ci.run_id.as_ref().map(|id| ("ci_run_id".to_owned(), number_or_text(id)));
    let entries = args.metadata.iter().map(|entry| (entry.name.clone(), entry.value.clone()));
    let metadata: Map<String, Value> = ci_run_id.into_iter().chain(entries).collect();
    (!metadata.is_empty()).then_some(metadata)
}

/// `--runner`, or the host's name.
pub fn runner_name(args: &RunArgs) -> Option<String> {
    let host = || rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    args.runner.clone().or_else(host).filter(|name| !name.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use serde_json::json;

    fn body(flags: &str, ci: &CiContext) -> Value {
        let line = format!("estop run --environment staging{flags} -- true");
        let Command::Run(args) = Cli::try_parse_from(line.split(' ')).expect("a command line").command else {
            panic!("not run")
        };
        serde_json::to_value(request(&args, ci)).expect("JSON")
    }

    #[test]
    fn a_branch_travels_alone_or_in_a_build_never_both() {
        let ci = CiContext { branch: Some("main".into()), ..CiContext::default() };
        assert_eq!(body("", &ci), json!({"environment": "staging", "branch": "main"}));
        let ci = CiContext { commit: Some("c0ffee".into()), ..ci };
        assert_eq!(body("", &ci), json!({"environment": "staging", "build": {"branch": "main", "commit": "c0ffee"}}));
    }

    #[test]
    fn flags_override_the_ci_systems_variables() {
        let text = |text: &str| Some(text.to_owned());
        let ci = CiContext {
            branch: text("theirs"),
            commit: text("c"),
            commit_url: text("http://ci/c"),
            build_url: text("http://ci/b"),
            actor: text("bob"),
            run_id: text("19283746"),
        };
        let build = |branch: &str, commit: &str, commit_url: &str, url: &str| json!({"branch": branch, "commit": commit, "commit_url": commit_url, "url": url});
        let request = body("", &ci);
        assert_eq!(request["build"], build("theirs", "c", "http://ci/c", "http://ci/b"));
        assert_eq!(
            (&request["github_actor"], &request["metadata"]),
            (&json!("bob"), &json!({"ci_run_id": 19_283_746}))
        );
        let flags = " --branch mine --commit d --commit-url http://d --build-url http://b --actor ada --metadata ci_run_id=mine";
        let request = body(flags, &ci);
        assert_eq!(request["build"], build("mine", "d", "http://d", "http://b"));
        assert_eq!((&request["github_actor"], &request["metadata"]), (&json!("ada"), &json!({"ci_run_id": "mine"})));
    }

    #[test]
    fn what_flags_alone_say_is_sent_as_it_stands() {
        let flags = " --build-version 1.2 --tag a --tag b --metadata n=5 --shards 2 --protected";
        assert_eq!(
            body(flags, &CiContext::default()),
            json!({
                "environment": "staging",
                "build": {"version": "1.2"},
                "metadata": {"n": 5},
                "tags": ["a", "b"],
                "total_shards": 2,
                "protected": true,
            })
        );
    }
}
