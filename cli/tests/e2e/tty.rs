//! At a terminal: a command may read from it, and the caller of estop gets it back.
#![cfg(target_os = "linux")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::Project;
use crate::proxy::{Proxy, respond_with};
use crate::terminal::Terminal;

fn running(script: &str, project: &Project) -> (Terminal, std::process::Child) {
    running_at(&project.server.url, &project.key, script)
}

fn running_at(url: &str, key: &str, script: &str) -> (Terminal, std::process::Child) {
    let estop = env!("CARGO_BIN_EXE_estop");
    Terminal::running(script, &[("ESTOP", estop), ("ESTOP_URL", url), ("ESTOP_KEY", key)])
}

#[test]
fn a_command_may_read_from_the_terminal_and_the_caller_gets_it_back() {
    let project = Project::new();
    let script = "$ESTOP run -- sh -c 'read x; echo \"the command read <$x>\"'; echo \"code $?\"; read y; echo \"the caller read <$y>\"";
    let (mut terminal, mut child) = running(script, &project);
    terminal.shows("is registered");
    terminal.types("one\n");
    terminal.shows("the command read <one>");
    terminal.shows("code 0");
    terminal.types("two\n");
    terminal.shows("the caller read <two>");
    child.wait().expect("an end");
}

#[test]
fn ctrl_c_reaches_the_command_whether_or_not_it_has_the_terminal() {
    let project = Project::new();
    for reads in ["", "read x; "] {
        let script = format!(
            "trap : INT; $ESTOP run -- sh -c 'trap \"echo heard; exit 9\" INT; echo ready; {reads}echo on; while :; do sleep 0.1; done'; echo \"code $?\""
        );
        let (mut terminal, mut child) = running(&script, &project);
        terminal.shows("ready");
        if !reads.is_empty() {
            terminal.types("go\n");
        }
        terminal.shows("on\r\n");
        terminal.types("\u{3}");
        terminal.shows("heard");
        terminal.shows("code 9");
        child.wait().expect("an end");
    }
}

#[test]
fn ctrl_z_suspends_the_command_whether_or_not_it_has_the_terminal() {
    let project = Project::new();
    // While it waits, it starts nothing, as in suspend.rs.
    for reads in ["", "read x; "] {
        let script = format!(
            "trap : INT; $ESTOP run -- sh -c 'trap \"exit 9\" INT; echo ready; {reads}sleep 1000 & echo on; wait'; echo \"code $?\""
        );
        let (mut terminal, mut child) = running(&script, &project);
        terminal.shows("ready");
        if !reads.is_empty() {
            terminal.types("go\n");
        }
        terminal.shows("on\r\n");
        terminal.types("\u{1a}");
        terminal.shows("the tests are suspended");
        let screen = terminal.screen.so_far();
        let estop = screen.split_once("kill -CONT ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        let estop = estop.and_then(Pid::from_raw).expect("a process id");
        kill_process(estop, Signal::CONT).expect("it lives");
        terminal.types("\u{3}");
        terminal.shows("code 9");
        child.wait().expect("an end");
    }
}

/// Every request finds, or cancels, this many runs.
fn matching(runs: i64) -> Proxy {
    let run = |id| json!({"id": id, "state": "queued", "environment": "staging", "branch": "main", "actor": "ada", "age_seconds": 300});
    let cancelled: Vec<_> = (1..=runs).map(run).collect();
    let page = json!({"data": {
        "dry_run": false, "cancelled": cancelled, "already_over": [], "not_found": [], "more": false, "next": null,
    }});
    Proxy::before("http://127.0.0.1:1", respond_with("200 OK", "", &page.to_string()))
}

#[test]
fn a_cancel_of_many_runs_asks_first() {
    for (typed, code, requests, says) in [
        ("y\n", "code 0", 2, "42 test runs are cancelled."),
        ("YES\n", "code 0", 2, "42 test runs are cancelled."),
        ("\n", "code 122", 1, "nothing was cancelled"),
        ("n\n", "code 122", 1, "nothing was cancelled"),
        ("\u{4}", "code 122", 1, "nothing was cancelled"),
        // Ctrl-C ends estop before it has sent anything.
        ("\u{3}", "code 130", 1, "^C"),
    ] {
        let proxy = matching(42);
        let script = "trap : INT; $ESTOP cancel --branch main; echo \"code $?\"";
        let (mut terminal, mut child) = running_at(&proxy.url, "a-key", script);
        terminal.shows("and 22 more");
        terminal.shows("Cancel 42 test runs? [y/N]");
        terminal.types(typed);
        terminal.shows(code);
        terminal.shows(says);
        child.wait().expect("an end");
        assert_eq!(proxy.seen(), requests, "{typed:?}");
    }
}

#[test]
fn a_cancel_by_nothing_but_a_state_asks_first_and_a_yes_or_a_dry_run_does_not() {
    let proxy = matching(2);
    let script = "$ESTOP cancel --state started; $ESTOP cancel --state started --yes; $ESTOP cancel --state started --dry-run; echo \"code $?\"";
    let (mut terminal, mut child) = running_at(&proxy.url, "a-key", script);
    terminal.shows("Cancel 2 test runs? [y/N]");
    terminal.types("no\n");
    terminal.shows("code 0");
    child.wait().expect("an end");
    assert_eq!((terminal.screen.so_far().matches("[y/N]").count(), proxy.seen()), (1, 3));
}
