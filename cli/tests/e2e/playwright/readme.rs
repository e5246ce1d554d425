//! README's matrix, as pasted, with four local shells in place of GitHub's jobs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::Fixture;
use crate::client::{Project, unique, within};
use crate::support::{Running, start};

/// The `run:` of README's matrix and its shards.
fn matrix() -> (String, Vec<String>) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("README.md");
    let line = |prefix: &str| {
        let mut lines = readme.lines().filter_map(|line| line.trim().strip_prefix(prefix));
        lines.next().unwrap_or_else(|| panic!("README has no line `{prefix}`")).to_owned()
    };
    let shards = line("shard: [").trim_end_matches(']').split(", ").map(str::to_owned).collect();
    (line("- run: "), shards)
}

/// A workflow run of GitHub's.
struct Workflow<'a> {
    project: &'a Project,
    /// The repository's secret.
    key: String,
    id: String,
    fixture: Fixture,
}

impl Workflow<'_> {
    /// What a shard's job leaves.
    fn out(&self, shard: &str) -> PathBuf {
        self.fixture.0.join("out").join(shard)
    }

    /// Starts a job for each value of the matrix, as a runner does.
    fn start(&self, attempt: &str) -> Vec<Running> {
        let (script, shards) = matrix();
        assert_eq!(shards.len(), 4);
        let (estop, path) = (Path::new(env!("CARGO_BIN_EXE_estop")), std::env::var("PATH").expect("PATH"));
        let path = format!("{}:{path}", estop.parent().expect("a folder").display());
        let job = |shard: &String| {
            fs::create_dir_all(self.out(shard)).expect("a folder");
            let script = script.replace("${{ matrix.shard }}", shard);
            assert!(!script.contains("${{"), "{script}");
            let mut shell = Command::new("bash");
            shell.args(["-e", "-c", &script]).current_dir(&self.fixture.0).env("PATH", &path);
            for (name, value) in self.fixture.estop(self.project).get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            shell.env("FIXTURE_OUT", self.out(shard)).env("ESTOP_KEY", &self.key);
            shell.env("CI", "true").env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/shop");
            shell.env("GITHUB_RUN_ID", &self.id).env("GITHUB_RUN_ATTEMPT", attempt).env("GITHUB_JOB", "e2e");
            Running::of(&mut shell)
        };
        shards.iter().map(job).collect()
    }
}

#[test]
fn the_readmes_matrix_is_one_run_that_can_be_cancelled_and_re_run() {
    let project = Project::new();
    let key = project.key("ci", &["run"], None).0;
    let workflow = Workflow { project: &project, key, id: unique(), fixture: Fixture::new("shards.spec.js") };

    let mut jobs = workflow.start("1");
    let id = jobs[0].id();
    for shard in ["1", "2", "3", "4"] {
        within(Duration::from_secs(60), "the test that waits", || {
            workflow.out(shard).join("slow").exists().then_some(())
        });
    }
    assert!(jobs.iter_mut().all(|job| job.id() == id));
    let cancelled = start(&project, &["cancel", &id.to_string(), "--reason", "wrong branch", "--wait"]).end();
    assert!(cancelled.expect_code(0).stdout.contains("stopped"));
    for (job, shard) in jobs.into_iter().zip(["1", "2", "3", "4"]) {
        assert!(job.end().expect_code(120).stderr.contains("wrong branch"));
        assert!(workflow.out(shard).join("report.json").exists());
        // Next time, its tests may end.
        fs::write(workflow.out(shard).join("finish"), "").expect("a file");
    }

    let mut jobs = workflow.start("2");
    let again = jobs[0].id();
    assert_ne!(again, id);
    let run = within(Duration::from_secs(60), "the end of the second attempt", || {
        Some(project.show(again)).filter(|run| run["state"] == "ended")
    });
    jobs.into_iter().for_each(|job| drop(job.end().expect_code(0)));
    assert_eq!((&run["result"], &run["attempt"], &run["finished_shards"]), (&json!("passed"), &json!(2), &json!(4)));
}
