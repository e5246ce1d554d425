//! What npm starts stands behind a shell, which gets the signals that npm passes on and dies of them without a word.

use rustix::process::Signal;
use serde_json::json;

use crate::client::{Project, eventually};
use crate::support::{Running, descendants, estop, lives};

/// A shell that runs this as the script of npm's project, `estop` being the tool.
fn shell(project: &Project, script: &str) -> Running {
    let command = estop(&project.server.url, &project.key);
    let script = script.replace("estop ", &format!("{} ", command.get_program().to_str().expect("a path")));
    let mut shell = std::process::Command::new("sh");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Running::of(shell.args(["-c", &script]).env("npm_lifecycle_script", &script))
}

#[test]
fn a_run_is_interrupted_when_npms_shell_is_killed() {
    let project = Project::new();
    // A command after it keeps every shell from becoming estop.
    let tests = "sh -c 'trap \"exit 3\" INT; echo ready; while :; do sleep 0.1; done'";
    let mut running = shell(&project, &format!("estop run -e staging -- {tests}; exit $?"));
    running.says("ready");
    let id = running.id();
    let below = descendants(running.pid());
    assert!(below.len() >= 3, "estop, its guard and the tests: {below:?}");
    running.signal(Signal::TERM);
    eventually("the end of all", || below.iter().all(|pid| !lives(pid)).then_some(()));
    let run = project.show(id);
    assert_eq!((&run["state"], &run["error_code"]), (&json!("error"), &json!("worker_interrupted")), "{run}");
}
