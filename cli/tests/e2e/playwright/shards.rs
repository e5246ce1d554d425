//! Four shards of a real Playwright project. They share its folder, as on machines where it has the same path, and each
//! writes to a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Fixture, statuses};
use crate::client::{Project, within};
use crate::support::{Ended, Running, lives, start};

struct Shards {
    fixture: Fixture,
    running: [Running; 4],
    id: i64,
}

/// Starts four shards, each of which has a test that passes and one that waits.
fn start_all(project: &Project) -> Shards {
    let fixture = Fixture::new("shards.spec.js");
    let mut running = [1, 2, 3, 4].map(|number| {
        let shard = format!("{number}/4");
        let out = fixture.out(number);
        fs::create_dir(&out).expect("a folder");
        let mut command = fixture.estop(project);
        command.env("PLAYWRIGHT_BLOB_OUTPUT_DIR", out.join("blob")).env("FIXTURE_OUT", out);
        command.args(["run", "-e", "staging", "--group", "g", "--shard", &shard, "--grace", "60", "--"]);
        // One worker, so that the test that waits comes after the one that passes.
        command.args(["npx", "playwright", "test", "--workers=1", "--reporter=blob", &format!("--shard={shard}")]);
        Running::of(&mut command)
    });
    let id = running[0].id();
    for number in 1..=4 {
        // Four Playwrights start at once.
        within(Duration::from_secs(60), "the test that waits", || {
            (fixture.lines(&format!("{number}/slow")).len() == 1).then_some(())
        });
    }
    Shards { fixture, running, id }
}

impl Fixture {
    fn out(&self, shard: usize) -> PathBuf {
        self.0.join("out").join(shard.to_string())
    }

    fn is_gone(&self, shard: usize, ended: &Ended) {
        assert!(self.lines(&format!("{shard}/pids")).iter().all(|pid| !lives(pid)), "{ended:?}");
    }

    /// What `npx playwright merge-reports` makes of these shards' blob reports.
    fn merge(&self, shards: &[usize]) -> Value {
        let folder = self.0.join("out/blobs");
        fs::create_dir(&folder).expect("a folder");
        for shard in shards {
            let report = format!("report-{shard}.zip");
            fs::copy(self.out(*shard).join("blob").join(&report), folder.join(report)).expect("a blob report");
        }
        let merge = ["playwright", "merge-reports", "--reporter=json", "out/blobs"];
        let output = Command::new("npx").args(merge).current_dir(&self.0).output().expect("npx");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("a JSON report")
    }
}

#[test]
fn one_cancel_stops_four_playwrights_and_each_writes_its_report() {
    let project = Project::new();
    let Shards { fixture, running, id } = start_all(&project);
    let cancel = ["cancel", &id.to_string(), "--reason", "wrong branch", "--wait"];
    let cancelled = start(&project, &cancel).end().expect_code(0);
    assert!(cancelled.stdout.contains("stopped gracefully in"), "{cancelled:?}");
    for (shard, running) in (1..).zip(running) {
        let ended = running.end().expect_code(120);
        assert!(ended.stderr.contains("wrong branch"), "{ended:?}");
        fixture.is_gone(shard, &ended);
    }
    let run = project.show(id);
    let outcomes: Vec<&Value> = run["shards"].as_array().into_iter().flatten().map(|s| &s["stop"]["outcome"]).collect();
    assert_eq!((&run["stop"]["outcome"], json!(outcomes)), (&json!("graceful"), json!(vec!["graceful"; 4])));
    let report = fixture.merge(&[1, 2, 3, 4]);
    assert_eq!((statuses(&report, "passed"), statuses(&report, "interrupted")), (4, 4), "{report}");
}

#[test]
fn the_reports_of_the_shards_that_finished_before_a_cancel_still_merge() {
    let project = Project::new();
    let Shards { fixture, running, id } = start_all(&project);
    let [first, second, third, fourth] = running;
    for (shard, running) in [(1, first), (2, second)] {
        fs::write(fixture.out(shard).join("finish"), "").expect("a file");
        running.end().expect_code(0);
    }
    assert_eq!(project.cancel(id).status, 200);
    for (shard, running) in [(3, third), (4, fourth)] {
        fixture.is_gone(shard, &running.end().expect_code(120));
    }
    let run = project.show(id);
    let shards = run["shards"].as_array().expect("shards");
    let ended: Vec<_> = shards.iter().map(|shard| json!([shard["result"], shard["stop"]["outcome"]])).collect();
    let (passed, stopped) = (json!(["passed", null]), json!([null, "graceful"]));
    assert_eq!(ended, [passed.clone(), passed, stopped.clone(), stopped], "{run}");
    assert_eq!((&run["state"], &run["finished_shards"]), (&json!("cancelled"), &json!(2)));

    let report = fixture.merge(&[1, 2]);
    assert_eq!((statuses(&report, "passed"), statuses(&report, "interrupted")), (4, 0), "{report}");
    assert_eq!(report["errors"], json!([]), "{report}");
}
