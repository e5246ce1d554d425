//! Ctrl-Z and its kin: COMMAND is suspended, its run stays alive, and a stop still works.

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Project, Server, eventually};
use crate::proxy::{Mode, Proxy};
use crate::support::{Running, processes, run, start_at};

/// It starts nothing: a shell that is about to start a command, and whose child is suspended before it is one, waits for
/// that child (vfork) and cannot be suspended itself.
const OBEYS: &str = "trap 'exit 0' INT; echo pid=$$; while :; do read line; done";

fn is_suspended(pid: &str) -> bool {
    processes().iter().any(|process| process.pid == pid && process.state.starts_with('T'))
}

fn suspended(pid: &str) {
    eventually("a suspended command", || is_suspended(pid).then_some(()));
}

#[test]
fn sigtstp_suspends_the_command_and_sigcont_continues_it() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Through);
    let script = "echo pid=$$; while [ -z \"$line\" ]; do read line; done; exit 7";
    let mut running = start_at(&proxy.url, &project, &["run", "-e", "staging", "--", "sh", "-c", script]);
    let pid = running.word_after("pid=");
    let estop = running.pid().as_raw_pid();
    running.signal(Signal::TSTP);
    running.says(&format!(
        "the tests are suspended, and heartbeats keep the run alive. Continue them with: kill -CONT {estop}"
    ));
    assert!(is_suspended(&pid) && !is_suspended(&estop.to_string()));
    running.signal(Signal::CONT);
    eventually("a continued command", || (!is_suspended(&pid)).then_some(()));
    running.type_in("go\n");
    running.end().expect_code(7);
}

#[test]
fn a_suspended_run_outlives_its_lease() {
    let project = Project::on(Server::short());
    let mut running = run(&project, &[], OBEYS);
    let pid = running.word_after("pid=");
    let id = running.id();
    running.signal(Signal::TSTP);
    suspended(&pid);
    let expires_at = || project.show(id)["shards"][0]["lease"]["expires_at"].clone();
    let lease = expires_at();
    assert!(lease.is_string(), "{lease}");
    eventually("a renewed lease", || (expires_at() != lease).then_some(()));
    project.server.tick();
    assert_eq!(project.show(id)["state"], "started");
    running.signal(Signal::INT);
    running.end().expect_code(0);
}

#[test]
fn a_suspended_command_can_be_stopped() {
    let project = Project::new();
    let of_estop = |running: &Running, _: &str| running.signal(Signal::TSTP);
    let of_command = |_: &Running, pid: &str| {
        kill_process(pid.parse().ok().and_then(Pid::from_raw).expect("a process id"), Signal::STOP).expect("it lives");
    };
    let ways: [fn(&Running, &str); 2] = [of_estop, of_command];
    for suspend in ways {
        let mut running = run(&project, &[], OBEYS);
        let pid = running.word_after("pid=");
        let id = running.id();
        suspend(&running, &pid);
        suspended(&pid);
        assert_eq!(project.cancel(id).status, 200);
        running.end().expect_code(120);
        assert_eq!(project.show(id)["stop"]["outcome"], "graceful");
    }
}

#[test]
fn a_suspended_command_can_be_interrupted() {
    let project = Project::new();
    let mut running = run(&project, &[], OBEYS);
    let pid = running.word_after("pid=");
    running.signal(Signal::TSTP);
    suspended(&pid);
    running.signal(Signal::INT);
    running.end().expect_code(0);
}

#[test]
fn a_suspended_command_does_not_survive_its_estop() {
    let project = Project::new();
    let mut running = run(&project, &[], OBEYS);
    let pid = running.word_after("pid=");
    running.signal(Signal::TSTP);
    suspended(&pid);
    running.signal(Signal::KILL);
    running.says("stopped gracefully");
    assert!(!crate::support::lives(&pid));
}

#[test]
fn a_guard_that_is_stopped_goes_on() {
    let project = Project::new();
    let mut running = run(&project, &[], OBEYS);
    running.word_after("pid=");
    let guard = running.guard(None);
    kill_process(guard, Signal::STOP).expect("it lives");
    eventually("a guard that goes on", || (!is_suspended(&guard.as_raw_pid().to_string())).then_some(()));
    running.signal(Signal::KILL);
    running.says("stopped gracefully");
}

#[test]
fn a_run_that_waits_does_not_take_sigcont_for_an_interruption() {
    let project = Project::new();
    let proxy = Proxy::before(&project.server.url, Mode::Closed);
    let mut running = start_at(&proxy.url, &project, &["run", "-e", "staging", "--", "sh", "-c", "exit 7"]);
    running.says("retrying");
    for signal in [Signal::TSTP, Signal::CONT] {
        running.signal(signal);
    }
    proxy.switch(Mode::Through);
    running.end().expect_code(7);
}
