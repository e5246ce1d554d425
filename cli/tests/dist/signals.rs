//! Ctrl-C and a CI system's SIGTERM reach the tests through npx and the launcher, once each, and leave nothing behind.

use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::client::{eventually, within};
use crate::machine::{PATIENCE, Shop};
use crate::support::{Running, descendants, lives};
use crate::terminal::Terminal;

/// What stands before the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// npx, which starts the binary itself.
    Npx,
    /// The launcher, which becomes the binary.
    Launcher,
    /// The launcher on a Node.js that cannot become another program.
    OldLauncher,
    /// npx, and that.
    OldNpx,
}

const WAYS: [Way; 4] = [Way::Npx, Way::Launcher, Way::OldLauncher, Way::OldNpx];

impl Way {
    fn shop(self) -> Shop {
        let shop = Shop::new();
        shop.npm_installs(&["estop"]);
        shop.write("old.cjs", "delete process.execve;");
        if self == Self::OldNpx {
            let linked = shop.file("node_modules/.bin/estop");
            std::fs::remove_file(&linked).expect("a link");
            std::os::unix::fs::symlink("../estop/bin/estop", linked).expect("a link");
        }
        shop
    }

    fn command(self, shop: &Shop) -> Command {
        let mut command = shop.command(if matches!(self, Self::Npx | Self::OldNpx) { "npx" } else { "node" });
        match self {
            Self::Npx | Self::OldNpx => command.args(["--no", "--", "estop"]),
            Self::Launcher | Self::OldLauncher => command.arg("node_modules/estop/bin/estop"),
        };
        if matches!(self, Self::OldLauncher | Self::OldNpx) {
            command.env("NODE_OPTIONS", format!("--require {}", shop.file("old.cjs").display()));
        }
        command
    }

    /// As a line of shell.
    fn line(self, shop: &Shop) -> String {
        let command = self.command(shop);
        let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
        words.join(std::ffi::OsStr::new(" ")).into_string().expect("text")
    }

    fn starts(self, shop: &Shop, script: &str) -> Running {
        let mut command = self.command(shop);
        let running = Running::of(command.args(["run", "--environment", "staging", "--", "sh", "-c", script]));
        within(PATIENCE, "a start", || running.so_far().contains("ready").then_some(()));
        running
    }
}

#[test]
fn the_exit_code_passes_through() {
    for way in WAYS {
        let shop = way.shop();
        let ended = way.starts(&shop, "echo ready; exit 7").end_within(PATIENCE);
        assert_eq!(ended.code, Some(7), "{way:?}: {ended:?}");
    }
}

#[test]
fn ctrl_c_is_heard_once_and_the_tests_may_end() {
    for way in WAYS {
        let shop = way.shop();
        let script = format!(
            "trap : INT; cd {}; {} run -- sh -c 'trap \"echo heard\" INT; echo ready; n=0; while [ $n -lt 30 ]; do sleep 0.1; n=$((n+1)); done; \
             echo ended; exit 9'; echo \"code $?\"",
            shop.folder.path(),
            way.line(&shop)
        );
        let command = way.command(&shop);
        let environment: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())))
            .collect();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (mut terminal, mut child) = Terminal::running(&script, &environment);
        within(PATIENCE, "a start", || terminal.screen.so_far().contains("ready\r\n").then_some(()));
        terminal.types("\u{3}");
        // A second one would have killed it.
        terminal.shows("ended");
        terminal.shows("code ");
        child.wait().expect("an end");
        let screen = terminal.screen.so_far();
        assert_eq!(screen.matches("heard").count(), 1, "{way:?}: {screen}");
    }
}

#[test]
fn what_a_ci_system_sends_ends_the_tests_and_everything_between() {
    // A SIGINT to npx need not arrive: many a shell, which npx starts things through, keeps it to itself.
    let interrupted = [Way::Launcher, Way::OldLauncher].map(|way| (way, Signal::INT));
    for (way, signal) in WAYS.map(|way| (way, Signal::TERM)).into_iter().chain(interrupted) {
        let shop = way.shop();
        let script = "trap 'echo heard >heard; exit 1' INT TERM; echo ready; while :; do sleep 0.1; done";
        let mut running = way.starts(&shop, script);
        let id = running.id();
        let below = descendants(running.pid());
        running.signal(signal);
        within(PATIENCE, "the end of all", || below.iter().all(|pid| !lives(pid)).then_some(()));
        let ended = running.end_within(PATIENCE);
        assert_ne!(ended.code, Some(0), "{way:?}, {signal:?}: {ended:?}");
        assert!(shop.file("heard").exists(), "{way:?}, {signal:?}: {ended:?}");
        let run = eventually("its record", || Some(shop.project.show(id)).filter(|run| run["state"] != "started"));
        assert_eq!(run["error_code"], json!("worker_interrupted"), "{way:?}, {signal:?}: {run}");
    }
}

#[test]
fn a_launcher_that_is_killed_takes_estop_and_the_tests_with_it() {
    for way in [Way::Launcher, Way::OldLauncher] {
        let shop = way.shop();
        let mut running = way.starts(&shop, "trap 'exit 1' TERM INT; echo ready; while :; do sleep 0.1; done");
        let id = running.id();
        let below = descendants(running.pid());
        assert!(!below.is_empty());
        running.signal(Signal::KILL);
        within(PATIENCE, "the end of all", || below.iter().all(|pid| !lives(pid)).then_some(()));
        let run = eventually("its record", || Some(shop.project.show(id)).filter(|run| run["state"] != "started"));
        assert_eq!(run["error_code"], json!("worker_interrupted"), "{way:?}: {run}");
    }
}
