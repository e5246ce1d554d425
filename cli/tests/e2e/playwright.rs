//! A real Playwright project under `estop run`, stopped midway. `ESTOP_TEST_PLAYWRIGHT` says where Playwright is
//! installed: scripts/setup puts it outside the clone.

// The Chromium that npm has is for Linux.
#[cfg(target_os = "linux")]
mod browsers;
mod readme;
mod shards;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Project, unique, within};
use crate::support::{Running, estop, lives};

/// A copy of the project beside an installed Playwright.
pub struct Fixture(PathBuf);

impl Fixture {
    /// With these tests.
    pub fn new(spec: &str) -> Self {
        let installed = std::env::var("ESTOP_TEST_PLAYWRIGHT").expect("ESTOP_TEST_PLAYWRIGHT, which `make test` sets");
        let folder = std::env::temp_dir().join(format!("estop-playwright-{}", unique()));
        fs::create_dir_all(&folder).expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playwright");
        for file in ["package.json", "playwright.config.js", spec] {
            fs::copy(source.join(file), folder.join(file)).expect("a copy");
        }
        std::os::unix::fs::symlink(Path::new(&installed).join("node_modules"), folder.join("node_modules"))
            .expect("a link");
        fs::create_dir(folder.join("out")).expect("a folder");
        Self(folder)
    }

    /// `estop` in the project's folder.
    fn estop(&self, project: &Project) -> Command {
        let mut command = estop(&project.server.url, &project.key);
        command.current_dir(&self.0).env("FIXTURE_OUT", self.0.join("out")).env_remove("CI");
        command
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.0.join("out").join(file)).ok()
    }

    /// The lines of a file.
    fn lines(&self, file: &str) -> Vec<String> {
        self.read(file).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How often a status occurs in Playwright's JSON report.
fn statuses(report: &Value, status: &str) -> usize {
    match report {
        Value::Object(fields) => {
            usize::from(fields.get("status").is_some_and(|s| s == status) && fields.contains_key("workerIndex"))
                + fields.values().map(|value| statuses(value, status)).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|item| statuses(item, status)).sum(),
        _ => 0,
    }
}

#[test]
fn a_cancelled_playwright_writes_its_report_and_leaves_nothing_behind() {
    let project = Project::new();
    let fixture = Fixture::new("checkout.spec.js");
    // On a busy machine, too.
    let options = ["run", "-e", "staging", "--grace", "60", "--", "npx", "playwright", "test"];
    let mut running = Running::of(fixture.estop(&project).args(options));
    let id = running.id();
    within(Duration::from_secs(60), "two slow tests", || (fixture.lines("slow").len() == 2).then_some(()));
    assert!(fixture.lines("pids").iter().any(|pid| lives(pid)));
    assert_eq!(project.cancel(id).status, 200);
    let ended = running.end().expect_code(120);

    assert!(ended.stderr.contains("ada@example.com cancelled") && ended.stderr.contains("wrong branch"), "{ended:?}");
    assert!(fixture.lines("pids").iter().all(|pid| !lives(pid)), "{ended:?}");
    let report = fixture.read("report.json").unwrap_or_else(|| panic!("no JSON report: {ended:?}"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(statuses(&report, "passed"), 1, "{report}");
    assert!(statuses(&report, "interrupted") >= 1, "{report}");
    assert!(fixture.read("html/index.html").is_some_and(|html| html.contains("<html")), "an HTML report");
    let shown = project.show(id);
    assert_eq!((&shown["state"], &shown["stop"]["outcome"]), (&json!("cancelled"), &json!("graceful")));
    assert_eq!(shown["cancel"]["reason"], "wrong branch");
}
