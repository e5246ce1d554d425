//! One run on several machines: `estop run --shard`, by flags and by what CI systems say.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Project, eventually, unique};
use crate::concurrency::limited;
use crate::support::{Ended, Running, Scratch, estop, lives, run, start};

const OBEYS: &str = "trap 'echo stopped; exit 1' INT; echo ready; while :; do sleep 0.05; done";

/// Starts `estop run -e staging --shard I/4 --group GROUP OPTIONS -- sh -c SCRIPT` with each of these shards.
fn shards<const N: usize>(
    project: &Project,
    group: &str,
    numbers: [usize; N],
    options: &[&str],
    script: &str,
) -> [Running; N] {
    numbers.map(|number| {
        let shard = format!("{number}/4");
        run(project, &[&["--shard", &shard, "--group", group], options].concat(), script)
    })
}

/// Their run, once they have all found it.
fn the_one_run(shards: &mut [Running]) -> i64 {
    let ids: Vec<i64> = shards.iter_mut().map(Running::id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one run: {ids:?}");
    ids[0]
}

fn call(project: &Project, arguments: &[&str]) -> Ended {
    start(project, arguments).end()
}

/// The run's shards, each as its number and what it has under `field`.
fn of_shards(run: &Value, field: &str) -> Value {
    let shards = run["shards"].as_array().expect("shards").iter();
    shards.map(|shard| json!([shard["shard"], shard[field]])).collect()
}

#[test]
fn four_shards_are_one_run_and_one_cancel_stops_them_all() {
    let project = Project::new();
    let mut running = shards(&project, "g", [1, 2, 3, 4], &["--runner", "ci"], OBEYS);
    let id = the_one_run(&mut running);
    running.iter_mut().for_each(|shard| shard.says("ready"));
    let ended = call(&project, &["cancel", &id.to_string(), "--reason", "wrong branch", "--wait"]).expect_code(0);
    assert!(ended.stdout.contains("stopped gracefully in"), "{ended:?}");
    for (index, shard) in running.into_iter().enumerate() {
        let ended = shard.end().expect_code(120);
        assert!(ended.stdout.contains("stopped"), "{ended:?}");
        assert!(
            ended.stderr.contains("ada@example.com cancelled test run") && ended.stderr.contains("wrong branch"),
            "shard {} says who and why: {ended:?}",
            index + 1
        );
    }
    let run = project.show(id);
    assert_eq!((&run["state"], &run["stop"]["outcome"]), (&json!("cancelled"), &json!("graceful")));
    assert_eq!(of_shards(&run, "state"), json!([1, 2, 3, 4].map(|shard| json!([shard, "cancelled"]))));

    let shown = call(&project, &["show", &id.to_string()]).expect_code(0).stdout;
    let table: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(table.contains(&vec!["SHARD", "STATE", "RUNNER", "SINCE", "RESULT"]), "{shown}");
    for number in ["1", "2", "3", "4"] {
        assert!(table.iter().any(|row| row.starts_with(&[number, "graceful", "ci"])), "{shown}");
    }
    assert!(shown.contains("0 of 4 finished") && shown.contains("g, attempt 1"), "{shown}");
}

#[test]
fn the_stop_of_a_run_is_the_worst_of_its_shards() {
    let project = Project::new();
    let [mut obeys] = shards(&project, "g", [1], &[], OBEYS);
    let deaf = "trap '' INT; echo ready; while :; do sleep 0.05; done";
    let [mut deaf] = shards(&project, "g", [2], &["--grace", "1"], deaf);
    obeys.says("ready");
    deaf.says("ready");
    let id = obeys.id();
    let ended = call(&project, &["cancel", &id.to_string(), "--wait"]).expect_code(0);
    assert!(ended.stdout.contains("stopped on SIGTERM in"), "{ended:?}");
    obeys.end().expect_code(120);
    deaf.end().expect_code(120);
    let outcomes = project.show(id)["shards"].as_array().expect("shards").clone();
    let outcomes: Vec<_> = outcomes.iter().map(|shard| shard["stop"]["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("graceful"), json!("terminated")]);
    let shown = call(&project, &["show", &id.to_string()]).expect_code(0).stdout;
    assert!(shown.contains("2 of its shards no runner has claimed."), "{shown}");
}

#[test]
fn a_shard_that_comes_late_to_a_cancelled_run_does_not_start_its_command() {
    let project = Project::new();
    let [first] = shards(&project, "g", [1], &[], "exit 0");
    let ended = first.end().expect_code(0);
    let id: i64 = ended.stderr.split_whitespace().find_map(|word| word.parse().ok()).expect("an id");
    assert_eq!(project.cancel(id).status, 200);
    let [late] = shards(&project, "g", [2], &[], "echo started");
    let late = late.end().expect_code(120);
    assert!(late.stdout.is_empty() && !late.stderr.contains("Cancel it with"), "{late:?}");
    assert!(
        late.stderr.contains(&format!("ada@example.com cancelled test run {id} at "))
            && late.stderr.contains("wrong branch. The command was not started."),
        "{late:?}"
    );
    assert_eq!(of_shards(&project.show(id), "state"), json!([[1, "ended"]]));
}

/// A key as README has it for CI: it may not read.
fn with_a_runners_key(project: &Project, arguments: &[&str]) -> Ended {
    let key = project.key("ci", &["run"], None).0;
    let options = ["run", "-e", "staging", "--group", "g"];
    let mut command = estop(&project.server.url, &key);
    Running::of(command.args(options).args(arguments).args(["--", "sh", "-c", "echo started"])).end()
}

#[test]
fn a_key_that_may_not_read_tells_a_cancelled_run_from_a_shard_that_is_taken() {
    let project = Project::new();
    with_a_runners_key(&project, &["--shard", "1/4"]).expect_code(0);
    let again = with_a_runners_key(&project, &["--shard", "1/4"]).expect_code(122);
    assert!(again.stdout.is_empty(), "{again:?}");
    assert!(again.stderr.contains("is finished already (passed)") && again.stderr.contains("group of its own"));
    let [mut holder] = shards(&project, "g", [2], &[], OBEYS);
    holder.says("ready");
    let twice = with_a_runners_key(&project, &["--shard", "2/4"]).expect_code(122);
    assert!(twice.stdout.is_empty() && twice.stderr.contains("has a runner already"), "{twice:?}");
    assert_eq!(project.cancel(holder.id()).status, 200);
    holder.end().expect_code(120);
    let late = with_a_runners_key(&project, &["--shard", "3/4"]).expect_code(120);
    assert!(late.stdout.is_empty() && late.stderr.contains("ada@example.com cancelled it"), "{late:?}");
}

#[test]
fn a_run_is_over_when_its_last_shard_is_and_has_the_sum_of_their_results() {
    let project = Project::new();
    for (group, codes, state, result, error, waits) in [
        ("passes", [0, 0, 0, 0], "ended", json!("passed"), json!(null), 0),
        ("fails", [0, 3, 0, 0], "ended", json!("failed"), json!(null), 1),
        ("breaks", [0, 3, 139, 0], "error", json!(null), json!("run_failed_with_error"), 1),
    ] {
        let mut id = 0;
        for (index, code) in codes.into_iter().enumerate() {
            let script = if code == 139 { "kill -SEGV $$".to_owned() } else { format!("exit {code}") };
            let [mut shard] = shards(&project, group, [index + 1], &[], &script);
            id = shard.id();
            shard.end().expect_code(code);
        }
        let run = project.show(id);
        assert_eq!((&run["state"], &run["result"], &run["error_code"]), (&json!(state), &result, &error), "{group}");
        assert_eq!(run["finished_shards"], 4);
        call(&project, &["wait", &id.to_string()]).expect_code(waits);
    }
}

#[test]
fn a_list_shows_how_many_shards_are_finished() {
    let project = Project::new();
    for number in 1..=3 {
        let [shard] = shards(&project, "g", [number], &[], "exit 0");
        shard.end().expect_code(0);
    }
    let listed = call(&project, &["list"]).expect_code(0).stdout;
    assert!(listed.contains("started 3/4"), "{listed}");
}

#[test]
fn a_shard_outside_of_ci_needs_a_group() {
    let project = Project::new();
    let ended = run(&project, &["--shard", "2/4"], "echo started").end().expect_code(2);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("--group"), "{ended:?}");
    for shard in ["0/4", "5/4", "2", "1/1001"] {
        run(&project, &["--group", "g", "--shard", shard], "echo started").end().expect_code(2);
    }
    assert_eq!(project.get("/api/test-runs").ok()["data"]["test_runs"]["items"], json!([]), "nothing is registered");
}

#[test]
fn a_group_has_one_environment_and_one_number_of_shards() {
    let project = Project::new();
    let [first] = shards(&project, "g", [1], &[], "exit 0");
    first.end().expect_code(0);
    let other_total = run(&project, &["--shard", "2/3", "--group", "g"], "echo started").end().expect_code(122);
    assert!(other_total.stdout.is_empty() && other_total.stderr.contains("4 shards"), "{other_total:?}");
    let options = ["run", "-e", "production", "--shard", "2/4", "--group", "g", "--", "echo", "started"];
    let elsewhere = call(&project, &options).expect_code(122);
    assert!(elsewhere.stdout.is_empty() && elsewhere.stderr.contains("staging"), "{elsewhere:?}");
}

/// A job of a CI system, as its variables say.
fn job(project: &Project, variables: &[(&str, &str)], options: &[&str], script: &str) -> Running {
    let mut command = estop(&project.server.url, &project.key);
    command.envs(variables.iter().copied());
    Running::of(command.args(["run", "-e", "staging"]).args(options).args(["--", "sh", "-c", script]))
}

const GITLAB: [(&str, &str); 3] = [("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "acme/shop"), ("CI_PIPELINE_ID", "4")];
const BUILDKITE: [(&str, &str); 4] = [
    ("BUILDKITE", "true"),
    ("BUILDKITE_PIPELINE_SLUG", "shop"),
    ("BUILDKITE_BUILD_ID", "0190-4"),
    ("BUILDKITE_STEP_ID", "e2e"),
];
const CIRCLECI: [(&str, &str); 5] = [
    ("CIRCLECI", "true"),
    ("CIRCLE_PROJECT_USERNAME", "acme"),
    ("CIRCLE_PROJECT_REPONAME", "shop"),
    ("CIRCLE_WORKFLOW_ID", "w4"),
    ("CIRCLE_JOB", "e2e"),
];
const GITHUB: [(&str, &str); 4] = [
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_REPOSITORY", "acme/shop"),
    ("GITHUB_RUN_ID", "19283746"),
    ("GITHUB_JOB", "e2e"),
];

#[test]
fn a_ci_systems_parallel_jobs_are_shards_without_any_flag() {
    let project = Project::new();
    for (system, name, index, total, first, group) in [
        (&GITLAB[..], Some("CI_JOB_NAME"), "CI_NODE_INDEX", "CI_NODE_TOTAL", 1, "gitlab:acme/shop:4:e2e"),
        (&CIRCLECI[..], None, "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0, "circleci:acme/shop:w4:e2e"),
        (
            &BUILDKITE[..],
            None,
            "BUILDKITE_PARALLEL_JOB",
            "BUILDKITE_PARALLEL_JOB_COUNT",
            0,
            "buildkite:shop:0190-4:e2e",
        ),
    ] {
        let mut running: Vec<Running> = (0..3)
            .map(|instance| {
                let (number, job_name) = ((instance + first).to_string(), format!("e2e {}/3", instance + 1));
                let mut variables = [system, &[(index, number.as_str()), (total, "3")]].concat();
                variables.extend(name.map(|name| (name, job_name.as_str())));
                job(&project, &variables, &[], "exit 0")
            })
            .collect();
        let id = the_one_run(&mut running);
        running.into_iter().for_each(|shard| drop(shard.end().expect_code(0)));
        let run = project.show(id);
        assert_eq!((&run["group"], &run["result"], &run["total_shards"]), (&json!(group), &json!("passed"), &json!(3)));
        assert_eq!(of_shards(&run, "state"), json!([[1, "ended"], [2, "ended"], [3, "ended"]]));
    }
}

#[test]
fn the_failed_shard_of_a_github_job_that_is_re_run_ends_a_later_attempt() {
    let project = Project::new();
    let shard = |attempt: &str, shard: &str, script: &str| {
        let variables = [&GITHUB[..], &[("GITHUB_RUN_ATTEMPT", attempt)]].concat();
        let mut running = job(&project, &variables, &["--shard", shard], script);
        (running.id(), running.end())
    };
    let (first, _) = shard("1", "1/2", "exit 0");
    let (same, failed) = shard("1", "2/2", "exit 3");
    failed.expect_code(3);
    assert_eq!((same, &project.show(first)["result"]), (first, &json!("failed")));

    // "Re-run failed jobs" starts shard 2 alone.
    let (second, passed) = shard("2", "2/2", "exit 0");
    passed.expect_code(0);
    let run = project.show(second);
    assert_ne!(second, first);
    assert_eq!((&run["result"], &run["attempt"]), (&json!("passed"), &json!(2)));
    assert_eq!(of_shards(&run, "carried"), json!([[1, true], [2, false]]));
    assert_eq!(project.show(first)["result"], "failed", "the first attempt stays as it was");
    let shown = call(&project, &["show", &second.to_string()]).expect_code(0).stdout;
    assert!(shown.contains("passed in an earlier attempt") && shown.contains("attempt 2"), "{shown}");
}

#[test]
fn a_job_that_is_re_run_while_its_run_goes_on_joins_it() {
    let project = Project::new();
    let attempt = |number: &'static str| [&GITHUB[..], &[("GITHUB_RUN_ATTEMPT", number)]].concat();
    let mut slow = job(&project, &attempt("1"), &["--shard", "1/2"], "echo ready; read line");
    slow.says("ready");
    let id = slow.id();
    let mut again = job(&project, &attempt("2"), &["--shard", "2/2"], "exit 0");
    assert_eq!(again.id(), id);
    again.end().expect_code(0);
    // Whoever re-runs a shard that is still alive hears of it.
    let twice = job(&project, &attempt("3"), &["--shard", "1/2"], "echo started").end().expect_code(122);
    assert!(twice.stdout.is_empty() && twice.stderr.contains("has a runner already"), "{twice:?}");
    slow.type_in("go\n");
    slow.end().expect_code(0);
    assert_eq!(project.show(id)["result"], "passed");
}

#[test]
fn a_gitlab_job_that_is_retried_makes_another_run() {
    let project = Project::new();
    let shard = |number: &str, script: &str| {
        let name = format!("e2e {number}/2");
        let variables =
            [&GITLAB[..], &[("CI_NODE_INDEX", number), ("CI_NODE_TOTAL", "2"), ("CI_JOB_NAME", &name)]].concat();
        let mut running = job(&project, &variables, &[], script);
        (running.id(), running.end())
    };
    let (first, _) = shard("1", "exit 0");
    let (same, _) = shard("2", "exit 1");
    let (retried, ended) = shard("2", "exit 0");
    ended.expect_code(0);
    assert!(first == same && retried != first);
    assert_eq!((&project.show(retried)["result"], &project.show(retried)["attempt"]), (&json!("passed"), &json!(2)));
}

#[test]
fn two_steps_of_a_job_without_shards_are_two_runs() {
    let project = Project::new();
    let mut steps = [job(&project, &GITHUB, &[], "exit 0"), job(&project, &GITHUB, &[], "exit 0")];
    let ids = [steps[0].id(), steps[1].id()];
    assert_ne!(ids[0], ids[1]);
    for (id, step) in ids.into_iter().zip(steps) {
        step.end().expect_code(0);
        let run = project.show(id);
        assert_eq!((&run["group"], &run["total_shards"], &run["result"]), (&json!(null), &json!(1), &json!("passed")));
    }
}

#[test]
fn enough_failed_tests_over_all_shards_stop_the_others() {
    let project = Project::new();
    let mut running = shards(&project, "g", [1, 2], &["--fail-fast", "3"], OBEYS);
    let id = the_one_run(&mut running);
    running.iter_mut().for_each(|shard| shard.says("ready"));
    // Shards 3 and 4 have a reporter of their own, which counts.
    let counts = |failed| json!({"total": 9, "success": 9 - failed, "failed": failed, "skipped": 0, "flaky": 0});
    for (shard, failed, state) in [(3, 2, "started"), (4, 1, "cancelled")] {
        let claimed = project.post(&format!("/api/test-runs/{id}/claim"), &json!({"shard": shard})).ok();
        let beat = json!({"lease": claimed["data"]["lease"]["token"], "counts": counts(failed)});
        project.post(&format!("/api/test-runs/{id}/heartbeat"), &beat).ok();
        assert_eq!(project.show(id)["state"], state);
    }
    for shard in running {
        let ended = shard.end().expect_code(120);
        assert!(ended.stdout.contains("stopped"), "{ended:?}");
        assert!(ended.stderr.contains("system:fail-fast cancelled") && ended.stderr.contains("3 tests failed"));
    }
    let cancel = &project.show(id)["cancel"];
    assert_eq!((&cancel["cause"], &cancel["by"]), (&json!("fail_fast"), &json!("system:fail-fast")));
    let shown = call(&project, &["show", &id.to_string()]).expect_code(0).stdout;
    assert!(shown.contains("once 3 tests have failed"), "{shown}");
}

#[test]
fn under_each_limit_all_shards_run_side_by_side() {
    for behaviour in ["cancel_previous", "queue_new"] {
        let project = limited(behaviour);
        let mut running = shards(&project, "g", [1, 2, 3, 4], &[], "echo ready; read line");
        let id = the_one_run(&mut running);
        // All at once: none ends before all have started.
        running.iter_mut().for_each(|shard| shard.says("ready"));
        assert_eq!(project.show(id)["state"], "started", "{behaviour}");
        for mut shard in running {
            shard.type_in("go\n");
            let ended = shard.end().expect_code(0);
            assert!(!ended.stderr.contains("Waiting"), "{behaviour}: {ended:?}");
        }
        assert_eq!(project.show(id)["result"], "passed", "{behaviour}");
    }
}

#[test]
fn the_shards_of_a_newer_run_start_when_all_of_the_older_ones_have_stopped() {
    let project = limited("cancel_previous");
    let folder = Scratch::new();
    // Shard 2 takes its time to stop.
    let gate = folder.0.join("gate");
    let slow = format!(
        "trap 'echo heard; while [ ! -e {gate} ]; do sleep 0.05; done; exit 1' INT; echo ready; while :; do sleep 0.05; done",
        gate = gate.display()
    );
    let [mut quick] = shards(&project, "old", [1], &[], OBEYS);
    let [mut slow] = shards(&project, "old", [2], &["--grace", "1000"], &slow);
    quick.says("ready");
    slow.says("ready");
    let mut newer = shards(&project, "new", [1, 2], &[], "echo mine; read line");
    let (old, new) = (quick.id(), the_one_run(&mut newer));
    slow.says("heard");
    assert!(quick.end().expect_code(120).stderr.contains("took its place"));
    newer.iter_mut().for_each(|shard| shard.says("Waiting."));
    assert_eq!(project.show(new)["state"], "queued");
    fs::write(&gate, "").expect("a file");
    slow.end().expect_code(120);
    newer.iter_mut().for_each(|shard| shard.says("mine"));
    assert_eq!(project.show(old)["superseded_by"], new);
    for mut shard in newer {
        shard.type_in("go\n");
        shard.end().expect_code(0);
    }
}

#[test]
fn a_kill_ends_a_command_that_ignores_signals_at_once() {
    let project = Project::new();
    let script = "trap 'echo heard' INT TERM; echo pid=$$; while :; do sleep 0.05; done";
    let mut running = shards(&project, "g", [1, 2], &["--grace", "1000"], script);
    let id = the_one_run(&mut running);
    let pids: Vec<String> = running.iter_mut().map(|shard| shard.word_after("pid=")).collect();
    let number = id.to_string();
    let early = call(&project, &["kill", &number]).expect_code(123);
    assert!(early.stderr.contains("Cancel it first"), "{early:?}");
    assert_eq!(project.cancel(id).status, 200);
    running.iter_mut().for_each(|shard| shard.says("heard"));
    let killer = project.key("bob@example.com", &["cancel"], None).0;
    Running::of(estop(&project.server.url, &killer).args(["kill", &number])).end().expect_code(0);
    for shard in running {
        let ended = shard.end().expect_code(120);
        assert!(ended.stderr.contains("sending SIGKILL") && !ended.stderr.contains("SIGTERM"), "{ended:?}");
    }
    assert!(pids.iter().all(|pid| !lives(pid)));
    let stop = &project.show(id)["stop"];
    assert_eq!((&stop["outcome"], &stop["kill"]["by"]), (&json!("killed"), &json!("bob@example.com")));
    let shown = call(&project, &["show", &number]).expect_code(0).stdout;
    assert!(shown.contains("kill ordered by") && shown.contains("bob@example.com"), "{shown}");
    let closed = call(&project, &["kill", &number]).expect_code(123);
    assert!(closed.stderr.contains("has stopped already"), "{closed:?}");
}

#[test]
fn a_shard_that_is_interrupted_or_whose_estop_is_killed_leaves_the_others_alone() {
    let project = Project::new();
    let mut running = shards(&project, "g", [1, 2, 3, 4], &[], "echo ready; read line");
    let id = the_one_run(&mut running);
    running.iter_mut().for_each(|shard| shard.says("ready"));
    let [interrupted, killed, mut third, mut fourth] = running;
    interrupted.signal(Signal::INT);
    interrupted.end().expect_code(130);
    killed.signal(Signal::KILL);
    eventually("the guard's finish", || (project.show(id)["finished_shards"] == 2).then_some(()));
    assert!(third.is_running() && fourth.is_running());
    for shard in [&mut third, &mut fourth] {
        shard.type_in("go\n");
    }
    third.end().expect_code(0);
    fourth.end().expect_code(0);
    let run = project.show(id);
    assert_eq!((&run["state"], &run["error_code"]), (&json!("error"), &json!("worker_interrupted")));
    let broken = json!("worker_interrupted");
    assert_eq!(of_shards(&run, "error_code"), json!([[1, broken], [2, broken], [3, null], [4, null]]));
}

#[test]
fn a_shards_flags_can_come_from_the_environment() {
    let project = Project::new();
    let group = unique();
    let variables = |shard: &'static str| [("ESTOP_SHARD", shard), ("ESTOP_GROUP", &group), ("ESTOP_ATTEMPT", "7")];
    let mut running: Vec<Running> =
        ["1/2", "2/2"].map(|shard| job(&project, &variables(shard), &[], "exit 0")).into_iter().collect();
    let id = the_one_run(&mut running);
    running.into_iter().for_each(|shard| drop(shard.end().expect_code(0)));
    let run = project.show(id);
    assert_eq!((&run["group"], &run["attempt"], &run["result"]), (&json!(group), &json!(7), &json!("passed")));
}
