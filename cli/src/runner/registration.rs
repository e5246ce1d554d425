//! What a run is registered with: the flags, and where they say nothing, what the CI system's variables say.
//!
//! A group goes along only where there is something to join: with more than one shard, or with `--group`. Two steps of one
//! job without shards are two runs.

use estop_protocol::register::{Build, RegisterRequest};
use estop_protocol::whole::Whole;
use serde_json::{Map, Value};

use super::ci::CiContext;
use crate::args::{RunArgs, Shard, number_or_text};
use crate::exit::Exit;
use crate::service::Failure;

/// The registration, and the shard that this is.
pub fn request(args: &RunArgs, ci: &CiContext) -> Result<(RegisterRequest, Shard), Failure> {
    let shard = args.shard.or(ci.shard).unwrap_or(Shard::ONLY);
    let group = args.group.clone().or_else(|| ci.group.clone().filter(|_| shard.total > 1));
    if shard.total > 1 && group.is_none() {
        let message = "which run does this shard belong to? Outside of a CI system that says so, give --group (or \
                       ESTOP_GROUP): any text that all shards of this run have in common, and no other run has";
        return Err(Failure::new(Exit::Usage, message));
    }
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
    let attempt = args.attempt.or(ci.attempt).filter(|_| group.is_some());
    let request = RegisterRequest {
        environment: args.environment.clone(),
        build,
        branch,
        metadata: metadata(args, ci),
        tags: (!args.tags.is_empty()).then(|| args.tags.clone()),
        github_actor: args.actor.clone().or_else(|| ci.actor.clone()),
        total_shards: (shard.total > 1).then_some(Whole(shard.total)),
        shard: group.is_some().then_some(Whole(shard.number)),
        attempt: attempt.map(Whole),
        group,
        fail_fast: args.fail_fast.map(Whole),
        protected: args.protected.then_some(true),
    };
    Ok((request, shard))
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
        serde_json::to_value(request(&args, ci).expect("a registration").0).expect("JSON")
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
            ..CiContext::default()
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
    fn a_group_goes_along_only_where_there_is_something_to_join() {
        let shard = Shard::new(3, 4);
        let ci = CiContext { group: Some("ci".into()), attempt: Some(2), ..CiContext::default() };
        let request = |flags: &str, ci: &CiContext| {
            let body = body(flags, ci);
            ["group", "attempt", "shard", "total_shards"].map(|name| body[name].clone())
        };
        let null = || Value::Null;
        assert_eq!(request("", &ci), [null(), null(), null(), null()], "one shard is a run of its own");
        assert_eq!(request(" --group mine", &ci), [json!("mine"), json!(2), json!(1), null()]);
        assert_eq!(request(" --shard 2/2", &ci), [json!("ci"), json!(2), json!(2), json!(2)]);
        let parallel = CiContext { shard, ..ci };
        assert_eq!(request("", &parallel), [json!("ci"), json!(2), json!(3), json!(4)]);
        assert_eq!(request(" --shard 1/1", &parallel), [null(), null(), null(), null()]);
        assert_eq!(request(" --attempt 5", &parallel), [json!("ci"), json!(5), json!(3), json!(4)]);
    }

    #[test]
    fn a_shard_without_a_group_is_a_slip() {
        let line = "estop run --environment staging --shard 2/4 -- true";
        let Command::Run(args) = Cli::try_parse_from(line.split(' ')).expect("a command line").command else {
            panic!("not run")
        };
        let failure = request(&args, &CiContext::default()).expect_err("no group");
        assert_eq!(failure.exit, Exit::Usage);
    }

    #[test]
    fn what_flags_alone_say_is_sent_as_it_stands() {
        let flags =
            " --build-version 1.2 --tag a --tag b --metadata n=5 --shard 2/4 --group g --fail-fast 3 --protected";
        assert_eq!(
            body(flags, &CiContext::default()),
            json!({
                "environment": "staging",
                "build": {"version": "1.2"},
                "metadata": {"n": 5},
                "tags": ["a", "b"],
                "total_shards": 4,
                "shard": 2,
                "group": "g",
                "fail_fast": 3,
                "protected": true,
            })
        );
    }
}
