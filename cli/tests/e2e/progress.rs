//! How far the tests are: what COMMAND tells by its two files, and where it arrives.

use std::fs;
use std::path::Path;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::client::{Project, eventually};
use crate::line::Line;
use crate::support::{Ended, Running, Scratch, estop, run, start};

/// Begins each script: `say` appends a line.
const SAY: &str = r#"say() { printf '%s\n' "$1" >> "$ESTOP_PROGRESS"; }; "#;

/// A script that tells these lines and then does the rest.
fn telling(lines: &[&str], rest: &str) -> String {
    let said: String = lines.iter().map(|line| format!("say '{line}'; ")).collect();
    format!("{SAY}{said}{rest}")
}

const HALF: &str = r#"{"total":4,"done":2,"failed":1,"current":"checkout › pays"}"#;
const FAILED: &str = r#"{"failure":{"title":"checkout › refunds","file":"tests/checkout.spec.ts","line":12,"message":"expected 3 to be 4\n  at line 12"}}"#;

fn failures(project: &Project, id: i64) -> Value {
    project.get(&format!("/api/test-runs/{id}/failures")).ok()["data"]["failures"].take()
}

fn call(project: &Project, arguments: &[&str]) -> Ended {
    start(project, arguments).end()
}

#[test]
fn what_the_tests_tell_is_in_the_record_while_they_run_and_counted_at_the_end() {
    let project = Project::new();
    let script =
        telling(&[FAILED, HALF], r#"echo ready; read line; say '{"done":4,"skipped":1,"current":""}'; exit 1"#);
    let mut running = run(&project, &["--no-push"], &script);
    running.says("ready");
    let id = running.id();
    let shard = eventually("progress", || {
        let shard = project.show(id)["shards"][0].clone();
        shard["progress"].is_object().then_some(shard)
    });
    let progress = json!({"total": 4, "done": 2, "failed": 1, "flaky": 0, "skipped": 0, "current": "checkout › pays"});
    assert_eq!(shard["progress"], progress);
    let named = json!([{"shard": 1, "title": "checkout › refunds", "file": "tests/checkout.spec.ts", "line": 12,
                        "message": "expected 3 to be 4\n  at line 12"}]);
    assert_eq!(failures(&project, id), named);
    let shown = call(&project, &["show", &id.to_string()]).expect_code(0).stdout;
    assert!(shown.contains("2 of 4 tests, 50 %, 1 failed; now: checkout › pays"), "{shown}");
    assert!(shown.contains("tests/checkout.spec.ts:12") && shown.contains("expected 3 to be 4"), "{shown}");
    assert!(!shown.contains("at line 12"), "{shown}");
    running.type_in("go\n");
    running.end().expect_code(1);
    let run = project.show(id);
    assert_eq!(run["counts"], json!({"total": 4, "success": 2, "failed": 1, "skipped": 1, "flaky": 0}));
    assert_eq!(run["shards"][0]["progress"]["current"], json!(null), "no test runs any more");
    assert_eq!(failures(&project, id), named);
}

#[test]
fn a_test_that_passed_at_its_second_try_is_taken_back() {
    let project = Project::new();
    let retracted = r#"{"failed":0,"flaky":1,"failure":{"title":"checkout › refunds","file":"tests/checkout.spec.ts","retracted":true}}"#;
    let mut running = run(&project, &[], &telling(&[HALF, FAILED, retracted, r#"{"done":4}"#], "exit 0"));
    let id = running.id();
    running.end().expect_code(0);
    assert_eq!(project.show(id)["counts"], json!({"total": 4, "success": 3, "failed": 0, "skipped": 0, "flaky": 1}));
    assert_eq!(failures(&project, id), json!([]));
}

#[test]
fn fail_fast_stops_every_shard_as_soon_as_enough_tests_have_failed_and_they_learn_why() {
    let project = Project::new();
    let obeys =
        r#"trap 'echo "stopped by $(cat "$ESTOP_STOP")"; exit 1' INT; echo ready; while :; do sleep 0.05; done"#;
    let mut shards = ["1/2", "2/2"].map(|shard| {
        let script = format!(
            "{SAY}ls \"$ESTOP_STOP\" 2>&1; {} {obeys}",
            if shard == "2/2" { "read line; say '{\"done\":3,\"failed\":1}';" } else { "" }
        );
        run(&project, &["--shard", shard, "--group", "g", "--fail-fast", "1"], &script)
    });
    shards[0].says("ready");
    shards[1].says("No such file");
    let id = shards[0].id();
    assert_eq!(project.show(id)["state"], "started");
    shards[1].type_in("fail\n");
    for shard in shards {
        let ended = shard.end().expect_code(120);
        assert!(
            ended.stderr.contains("system:fail-fast cancelled") && ended.stderr.contains("1 test failed"),
            "{ended:?}"
        );
        let (_, why) = ended.stdout.split_once("stopped by ").unwrap_or_else(|| panic!("{ended:?}"));
        let why: Value = serde_json::from_str(why.lines().next().unwrap_or_default()).expect("JSON");
        assert_eq!((&why["by"], &why["cause"]), (&json!("system:fail-fast"), &json!("fail_fast")));
        assert_eq!((&why["reason"], why["at"].is_string()), (&json!("1 test failed; fail_fast is 1"), true));
    }
    let shards = project.show(id)["shards"].clone();
    assert_eq!(shards[1]["counts"]["failed"], 1, "what a stop came to is kept");
}

#[test]
fn who_watches_hears_it_live_and_estop_watch_says_it() {
    let project = Project::new();
    let mut feed = Line::of_project(&project);
    // A failed test would be in the record at once.
    let calm = r#"{"total":4,"done":2,"current":"checkout › pays"}"#;
    let mut running = run(&project, &[], &telling(&[calm], "echo ready; read line; exit 0"));
    running.says("ready");
    let id = running.id();
    let heard = feed.message("progress");
    assert_eq!((&heard["test_run"], &heard["shard"], &heard["progress"]["done"]), (&json!(id), &json!(1), &json!(2)));
    assert_eq!(project.show(id)["shards"][0]["progress"], json!(null), "and it is written nowhere");
    let mut watching = start(&project, &["watch", &id.to_string()]);
    watching.says("2 of 4 tests, 50 %; now: checkout › pays");
    running.type_in("go\n");
    running.end().expect_code(0);
    watching.end().expect_code(0);
}

#[test]
fn the_files_are_the_commands_own_and_are_gone_when_it_is() {
    let project = Project::new();
    let script =
        r#"ls -l "$ESTOP_PROGRESS"; ls -ld "$(dirname "$ESTOP_PROGRESS")"; echo "at $ESTOP_PROGRESS and $ESTOP_STOP ""#;
    let mut running = run(&project, &[], script);
    let (file, stop) = (running.word_after("at "), running.word_after(" and "));
    let ended = running.end().expect_code(0);
    assert!(ended.stdout.contains("-rw------- ") && ended.stdout.contains("drwx------ "), "{ended:?}");
    let folder = Path::new(&file).parent().expect("a folder");
    assert_eq!(Path::new(&stop).parent(), Some(folder));
    assert!(!folder.exists(), "{ended:?}");
}

#[test]
fn without_the_service_there_is_nobody_to_tell() {
    let mut command = estop("http://127.0.0.1:1", &format!("estop_{}", "A".repeat(43)));
    command.args(["run", "-e", "staging", "--start-within", "0", "--", "sh", "-c"]);
    command.arg("echo \"${ESTOP_PROGRESS-none} ${ESTOP_STOP-none}\"");
    command.env("ESTOP_PROGRESS", "an outer estop's").env("ESTOP_STOP", "an outer estop's");
    let ended = Running::of(&mut command).end().expect_code(0);
    assert!(ended.stdout.contains("none none"), "{ended:?}");
}

#[test]
fn the_guard_of_an_estop_that_was_killed_counts_and_clears_up() {
    let project = Project::new();
    let script =
        telling(&[FAILED, HALF], "echo \"at $ESTOP_PROGRESS \"; trap 'exit 1' INT; while :; do sleep 0.05; done");
    let mut running = run(&project, &[], &script);
    let file = running.word_after("at ");
    let id = running.id();
    running.guard(None);
    kill_process(running.pid(), Signal::KILL).expect("it lives");
    eventually("the end of the run", || (project.show(id)["state"] == "error").then_some(()));
    let shard = project.show(id)["shards"][0].clone();
    assert_eq!((&shard["counts"]["failed"], failures(&project, id)[0]["line"].clone()), (&json!(1), json!(12)));
    eventually("a folder that is gone", || (!Path::new(&file).parent()?.exists()).then_some(()));
}

#[test]
fn odd_lines_and_a_file_that_is_gone_do_no_harm() {
    let project = Project::new();
    let script = format!(
        "{SAY}say '{{'; printf '\\377\\000\\n' >> \"$ESTOP_PROGRESS\"; head -c 300000 /dev/zero >> \"$ESTOP_PROGRESS\"; say ''; \
         say '{{\"done\":7}}'; rm \"$ESTOP_PROGRESS\"; mkfifo \"$ESTOP_PROGRESS\"; exit 0"
    );
    let mut running = run(&project, &[], &script);
    let id = running.id();
    running.end().expect_code(0);
    assert_eq!(project.show(id)["counts"]["total"], 7);
}

#[test]
fn junit_reports_are_counted_at_the_end_unless_the_tests_told_themselves() {
    let project = Project::new();
    let folder = Scratch::new();
    let report = r#"<testsuite file="a.py"><testcase name="ok"/><testcase name="no"><failure message="why"/></testcase></testsuite>"#;
    let write = format!("mkdir {0}/r; printf '%s' '{report}' > {0}/r/one.xml; ", folder.path());
    let pattern = format!("{}/**/*.xml", folder.path());
    let mut running = run(&project, &["--junit", &pattern, "--junit", "nowhere.xml"], &format!("{write} exit 1"));
    let id = running.id();
    let ended = running.end().expect_code(1);
    assert!(ended.stderr.contains("--junit nowhere.xml: there is no such file"), "{ended:?}");
    assert_eq!(project.show(id)["counts"], json!({"total": 2, "success": 1, "failed": 1, "skipped": 0, "flaky": 0}));
    assert_eq!(
        failures(&project, id),
        json!([{"shard": 1, "title": "no", "file": "a.py", "line": null, "message": "why"}])
    );

    fs::write(folder.0.join("r/one.xml"), "<testsuite>").expect("a file");
    let mut broken = run(&project, &["--junit", &pattern], "exit 0");
    let id = broken.id();
    let ended = broken.end().expect_code(0);
    assert!(ended.stderr.contains("no XML"), "{ended:?}");
    assert_eq!((&project.show(id)["result"], &project.show(id)["counts"]), (&json!("passed"), &json!(null)));

    let mut told = run(&project, &["--junit", &pattern], &telling(&[HALF], "exit 0"));
    let id = told.id();
    assert!(!told.end().expect_code(0).stderr.contains("--junit"), "it is not needed");
    assert_eq!(project.show(id)["counts"]["total"], 4);
}
