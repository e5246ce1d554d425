//! `estop list` with its filters, `estop cancels`, `estop stats` and `estop open`: what happened, and who did it.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Project, eventually};
use crate::support::{Ended, Running, Scratch, estop};

fn ask(project: &Project, arguments: &[&str]) -> Ended {
    Running::of(estop(&project.server.url, &project.key).args(arguments)).end()
}

fn register(project: &Project, body: &Value) -> i64 {
    let registered = project.call("PUT", "/api/test-runs", Some(body)).ok();
    registered["data"]["test_run"]["id"].as_i64().expect("an id")
}

/// The runs in what was printed as JSON.
fn ids(ended: Ended) -> Vec<i64> {
    let page: Value = serde_json::from_str(&ended.expect_code(0).stdout).expect("JSON");
    let items = page["data"]["test_runs"]["items"].as_array().expect("items").clone();
    items.iter().map(|run| run["id"].as_i64().expect("an id")).collect()
}

#[test]
fn a_list_is_narrowed_to_what_one_asks_for() {
    let project = Project::new();
    let ours = register(
        &project,
        &json!({"environment": "staging", "github_actor": "ada", "tags": ["e2e", "slow"], "metadata": {"ci": 7}}),
    );
    let theirs = register(&project, &json!({"environment": "production", "github_actor": "bob", "tags": ["e2e"]}));
    project.cancel(theirs).ok();
    let list = |flags: &[&str]| ids(ask(&project, &[&["list", "--json"], flags].concat()));
    for (flags, expected) in [
        (&["--actor", "ada"][..], vec![ours]),
        (&["--tag", "e2e"], vec![theirs, ours]),
        (&["--tag", "e2e", "--tag", "slow"], vec![ours]),
        (&["--metadata", "ci=7"], vec![ours]),
        (&["-e", "staging", "-e", "production"], vec![theirs, ours]),
        (&["-e", "production"], vec![theirs]),
        (&["--state", "queued", "--state", "cancelled"], vec![theirs, ours]),
        (&["--cause", "user", "--stop", "never_started"], vec![theirs]),
        (&["--cancelled-by", "ada@example.com"], vec![theirs]),
        (&["--since", "1h"], vec![theirs, ours]),
        (&["--until", "yesterday"], vec![]),
    ] {
        assert_eq!(list(flags), expected, "{flags:?}");
    }
    let table = ask(&project, &["list"]).expect_code(0).stdout;
    let heading: Vec<&str> = table.lines().next().expect("a line").split_whitespace().collect();
    assert_eq!(heading, ["ID", "STATE", "ENVIRONMENT", "BRANCH", "AGE", "DURATION", "ACTOR", "WHY"]);
    assert!(table.contains(" ada ") && table.contains("ada@example.com: wrong branch"), "{table}");
}

#[test]
fn ones_own_runs_are_those_of_the_ci_job_or_of_git() {
    let project = Project::new();
    let ours = register(&project, &json!({"environment": "staging", "github_actor": "ada"}));
    register(&project, &json!({"environment": "staging", "github_actor": "bob"}));
    let mine = ["list", "--mine", "--json"];
    let in_ci = [("GITHUB_ACTIONS", "true"), ("GITHUB_ACTOR", "ada")];
    let ended = Running::of(estop(&project.server.url, &project.key).envs(in_ci).args(mine)).end();
    assert_eq!(ids(ended), [ours]);

    let home = Scratch::new();
    let with_git = |command: &mut Command| {
        command.env("GIT_CONFIG_GLOBAL", format!("{}/gitconfig", home.path())).env("GIT_CONFIG_NOSYSTEM", "1");
        Running::of(command.current_dir(home.path()).args(mine)).end()
    };
    let ended = with_git(&mut estop(&project.server.url, &project.key)).expect_code(2);
    assert!(ended.stderr.contains("--actor"), "{ended:?}");
    std::fs::write(format!("{}/gitconfig", home.path()), "[github]\n\tuser = ada\n").expect("a file");
    assert_eq!(ids(with_git(&mut estop(&project.server.url, &project.key))), [ours]);
}

#[test]
fn who_stopped_what_is_listed_newest_first() {
    let project = Project::new();
    let (stopped, token) = project.started();
    project.cancel(stopped).ok();
    let confirm = json!({"lease": token, "state": "ended", "result": "passed", "stop": {"outcome": "graceful"}});
    project.post(&format!("/api/test-runs/{stopped}/finish"), &confirm);
    let waiting = project.queued();
    project.cancel(waiting).ok();
    let ended = ask(&project, &["cancels", "--since", "yesterday"]).expect_code(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(lines[1].contains(&format!(" {waiting} ")) && lines[1].contains("never started"), "{ended:?}");
    assert!(lines[2].contains("ada@example.com") && lines[2].contains("gracefully, "), "{ended:?}");
    assert!(lines[2].ends_with("wrong branch"), "{ended:?}");
    let one = ask(&project, &["cancels", "--limit", "1", "--json"]).expect_code(0);
    let one: Value = serde_json::from_str(&one.stdout).expect("JSON");
    assert_eq!(one["data"]["cancels"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["data"]["cancels"][0]["test_run"]["id"], waiting);
    let nobody = ask(&project, &["cancels", "--by", "nobody"]).expect_code(0);
    assert!(nobody.stdout.is_empty() && nobody.stderr.contains("nothing was stopped"), "{nobody:?}");
}

#[test]
fn what_became_of_the_runs_is_counted() {
    let project = Project::new();
    let (id, token) = project.started();
    project.finish(id, &token).ok();
    let stopped = project.queued();
    project.cancel(stopped).ok();
    let stats = || ask(&project, &["stats", "--days", "2"]).expect_code(0).stdout;
    // The sweeper counts what was over a minute ago, and may be busy with other tests' runs.
    eventually("both are counted", || {
        project.server.tick();
        stats().contains("1 of 2 runs were stopped: 1 by people").then_some(())
    });
    let lines = stats();
    assert_eq!(lines.lines().count(), 6, "a heading, two days, their sum, a blank and the words: {lines}");
    assert!(lines.contains("#-"), "{lines}");
}

#[test]
fn the_page_is_named_even_where_there_is_no_browser() {
    for (arguments, address) in [(&["open"][..], "http://estop.test/"), (&["open", "42"], "http://estop.test/runs/42")]
    {
        let mut command = estop("http://estop.test", "");
        let ended = Running::of(command.env("PATH", "/nowhere").args(arguments)).end().expect_code(0);
        assert_eq!(ended.stdout.trim(), address);
        assert!(ended.stderr.contains("no browser"), "{ended:?}");
    }
}
