//! A machine with Node.js and Python and without Rust, a registry that has the packages, and a project on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::json;

use crate::client::{Project, within};
use crate::support::{Running, Scratch};

/// On a busy machine npm takes its time.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with scripts/dist-tests"))
}

/// A file of this repository.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A file in the folder of packages whose name begins and ends so.
pub fn packed(start: &str, end: &str) -> PathBuf {
    let folder = variable("ESTOP_TEST_DIST");
    let files = fs::read_dir(folder).expect("packages").map(|entry| entry.expect("a file").path());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name.starts_with(start) && name.ends_with(end)
    };
    files.into_iter().find(is_meant).unwrap_or_else(|| panic!("no {start}*{end}"))
}

/// `PATH` without Rust. Where a folder has other programs than that, links to those stand in for it.
pub fn path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = variable("PATH");
        let links = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-rust");
        let _ = fs::remove_dir_all(&links);
        let without = |(number, folder): (usize, &str)| {
            let linked = links.join(number.to_string());
            if !RUST.iter().any(|program| Path::new(folder).join(program).exists()) {
                return folder.to_owned();
            }
            fs::create_dir_all(&linked).expect("a folder");
            for program in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file")) {
                let name = program.file_name().to_string_lossy().into_owned();
                if !["cargo", "rust", "clippy"].iter().any(|start| name.starts_with(start)) {
                    symlink(program.path(), linked.join(name)).expect("a link");
                }
            }
            linked.to_str().expect("a path").to_owned()
        };
        path.split(':').enumerate().map(without).collect::<Vec<_>>().join(":")
    })
}

const RUST: [&str; 3] = ["cargo", "rustc", "rustup"];

#[test]
fn there_is_no_rust_on_the_machine() {
    let shop = Shop::new();
    assert!(succeeds(shop.command("sh").args(["-c", "command -v node && command -v python3"])).contains('/'));
    for program in RUST {
        let found = shop.command("sh").args(["-c", &format!("command -v {program}")]).output().expect("sh");
        assert!(!found.status.success(), "{found:?}");
    }
}

/// The registry's address. It lasts as long as the tests.
pub fn registry() -> &'static str {
    static REGISTRY: OnceLock<(String, Mutex<Running>)> = OnceLock::new();
    let (address, _) = REGISTRY.get_or_init(|| {
        let mut command = Command::new("node");
        command.arg(source("cli/tests/dist/registry.mjs")).arg(variable("ESTOP_TEST_DIST"));
        let installed = Path::new(&variable("ESTOP_TEST_PLAYWRIGHT")).join("node_modules");
        command.args(["@playwright/test", "playwright", "playwright-core"].map(|package| installed.join(package)));
        let mut running = Running::of(&mut command);
        (running.word_after("registry "), Mutex::new(running))
    });
    address
}

/// A folder of tests, and a project in estop for it.
pub struct Shop {
    pub folder: Scratch,
    pub project: Project,
}

impl Shop {
    pub fn new() -> Self {
        let shop = Self { folder: Scratch::new(), project: Project::new() };
        shop.write("package.json", &json!({"name": "shop", "private": true}).to_string());
        shop
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.0.join(file), text).expect("a file");
    }

    pub fn file(&self, file: &str) -> PathBuf {
        self.folder.0.join(file)
    }

    /// A command in its folder.
    pub fn command(&self, program: &str) -> Command {
        crate::support::take_no_ignored_signals();
        let mut command = Command::new(program);
        command.current_dir(&self.folder.0).env_clear().env("PATH", path()).env("HOME", &self.folder.0);
        command.env("ESTOP_URL", &self.project.server.url).env("ESTOP_KEY", &self.project.key);
        command.env("npm_config_registry", registry()).env("npm_config_update_notifier", "false");
        command.env("npm_config_cache", self.file(".npm")).env("LANG", "C.UTF-8").env("DO_NOT_TRACK", "1");
        command
    }

    /// The same of npm's tools that are installed for the tests.
    pub fn tool(&self, script: &str) -> Command {
        let mut command = self.command("node");
        command.arg(Path::new(&variable("DIST_NODE_MODULES")).join(script));
        command
    }

    pub fn npm_installs(&self, packages: &[&str]) {
        let options = ["install", "--save-dev", "--ignore-scripts", "--no-audit", "--no-fund"];
        succeeds(self.command("npm").args(options).args(packages));
    }

    /// `estop` through npx.
    pub fn npx(&self) -> Command {
        let mut command = self.command("npx");
        command.args(["--no", "--", "estop"]);
        command
    }

    /// A run of a command that obeys SIGINT is cancelled, with `estop` called as `with` says.
    pub fn stops_a_run(&self, with: impl Fn() -> Command) {
        let mut command = with();
        let script = "trap 'echo heard; exit 0' INT; echo ready; while :; do sleep 0.1; done";
        let mut running = Running::of(command.args(["run", "--environment", "staging", "--", "sh", "-c", script]));
        within(PATIENCE, "a start", || running.so_far().contains("ready").then_some(()));
        let id = running.id();
        let cancelled = succeeds(with().args(["cancel", &id.to_string(), "--reason", "wrong branch", "--wait"]));
        assert!(cancelled.contains("stopped"), "{cancelled}");
        let ended = running.end_within(PATIENCE);
        assert!(ended.stdout.contains("heard") && ended.stderr.contains("wrong branch"), "{ended:?}");
        assert_eq!(ended.code, Some(120), "{ended:?}");
        assert_eq!(self.project.show(id)["stop"]["outcome"], "graceful");
    }
}

/// Runs a command to its end and gives what it printed.
#[track_caller]
pub fn succeeds(command: &mut Command) -> String {
    let ended = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {command:?}\n{printed}", ended.status);
    printed
}
