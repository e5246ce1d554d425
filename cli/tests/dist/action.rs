//! The steps of action.yml, as GitHub's runner runs them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::client::{Project, within};
use crate::machine::{PATIENCE, Shop, source, succeeds};
use crate::support::Running;

/// A step: its variables and its script.
struct Step {
    env: BTreeMap<String, String>,
    run: String,
}

fn steps() -> Vec<Step> {
    // Its YAML as JSON, by the library that GitHub's validator is tried with elsewhere.
    let text = fs::read_to_string(source("action.yml")).expect("action.yml");
    let action: serde_json::Value = serde_norway::from_str(&text).expect("YAML");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let step = |step: &serde_json::Value| {
        assert_eq!(step["shell"], "bash");
        let run = text(&step["run"]);
        // What others may write into an input must not become a script.
        assert!(!run.contains("${{"), "{run}");
        let env = step["env"].as_object().expect("variables");
        Step { env: env.iter().map(|(name, value)| (name.clone(), text(value))).collect(), run }
    };
    action["runs"]["steps"].as_array().expect("steps").iter().map(step).collect()
}

/// A job of a workflow that uses the action with these inputs.
struct Job<'a> {
    shop: &'a Shop,
    inputs: BTreeMap<&'a str, String>,
}

impl Job<'_> {
    fn value(&self, expression: &str) -> String {
        let inner = expression.trim_start_matches("${{ ").trim_end_matches(" }}");
        match inner.strip_prefix("inputs.") {
            Some(input) => self.inputs.get(input).cloned().unwrap_or_default(),
            None if inner == "github.action_path" => source("").to_str().expect("a path").to_owned(),
            None => panic!("unknown: {expression}"),
        }
    }

    /// `shell: bash`, with what earlier steps put into GITHUB_PATH.
    fn step(&self, step: &Step) -> Command {
        let script = self.shop.file("step.sh");
        fs::write(&script, &step.run).expect("a script");
        let mut command = self.shop.command("bash");
        let added = fs::read_to_string(self.shop.file("added-to-path")).unwrap_or_default();
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
        let path = format!("{}:{}", added.trim().replace('\n', ":"), path.expect("PATH").to_str().expect("text"));
        command.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(&script);
        command.env_remove("ESTOP_URL").env_remove("ESTOP_KEY").env("PATH", path);
        command.env("RUNNER_TEMP", self.shop.folder.path()).env("GITHUB_PATH", self.shop.file("added-to-path"));
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/shop").env("GITHUB_JOB", "e2e");
        command.env("GITHUB_RUN_ID", crate::client::unique()).env("GITHUB_RUN_ATTEMPT", "1");
        command.envs(step.env.iter().map(|(name, value)| (name, self.value(value))));
        command
    }

    fn start(&self) -> Running {
        let [install, run] = <[Step; 2]>::try_from(steps()).unwrap_or_else(|_| panic!("not two steps"));
        succeeds(&mut self.step(&install));
        Running::of(&mut self.step(&run))
    }
}

fn job<'a>(shop: &'a Shop, run: &str, more: &[(&'a str, &str)]) -> Job<'a> {
    let Project { server, key, .. } = &shop.project;
    let given = [("url", server.url.as_str()), ("key", key), ("environment", "staging"), ("run", run)];
    Job { shop, inputs: given.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect() }
}

#[test]
fn the_action_runs_a_script_as_a_step_would() {
    let shop = Shop::new();
    // Quotes and expressions stay what they are, and a line that fails ends it.
    let running = job(&shop, "echo \"it's $((6 * 7))\"\nfalse\necho never", &[]).start();
    let ended = running.end_within(PATIENCE);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "it's 42\n"), "{ended:?}");
}

#[test]
fn a_run_of_the_action_is_cancelled_and_is_a_shard() {
    let shop = Shop::new();
    let script = "trap 'echo heard; exit 0' INT; echo ready; while :; do sleep 0.1; done";
    let mut running = job(&shop, script, &[("shard", "1/2")]).start();
    within(PATIENCE, "a start", || running.so_far().contains("ready").then_some(()));
    let id = running.id();
    assert_eq!(shop.project.show(id)["total_shards"], json!(2));
    assert_eq!(shop.project.cancel(id).status, 200);
    running.end_within(PATIENCE).expect_code(120);
}

#[test]
fn githubs_own_cancel_reaches_the_tests() {
    let shop = Shop::new();
    let script = "trap 'echo heard; exit 3' INT; echo ready; while :; do sleep 0.1; done";
    let mut running = job(&shop, script, &[]).start();
    within(PATIENCE, "a start", || running.so_far().contains("ready").then_some(()));
    let id = running.id();
    // The runner sends it to the step's first process, and to no other.
    running.signal(Signal::INT);
    let ended = running.end_within(PATIENCE);
    assert!(ended.stdout.contains("heard"), "{ended:?}");
    assert_eq!(shop.project.show(id)["error_code"], json!("worker_interrupted"));
}
