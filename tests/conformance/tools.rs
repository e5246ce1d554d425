//! The tools, which `scripts/setup --conformance` installs, and a folder for what one of them reads and writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::client::unique;

/// A path in this repository.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the tools' own variables name.
fn variable(name: &str) -> PathBuf {
    static SHOWN: OnceLock<String> = OnceLock::new();
    let shown = SHOWN.get_or_init(|| {
        let script = "set -e; shown=$(\"$0\" --conformance); eval \"$shown\"; \
            for name in CONFORMANCE_NODE_MODULES SCHEMATHESIS_PACKAGES PATH; do printf '%s=%s\\n' $name \"${!name}\"; done";
        let setup = Command::new("bash").args(["-c", script]).arg(source("scripts/setup")).output().expect("bash");
        assert!(setup.status.success(), "scripts/setup failed: {}", String::from_utf8_lossy(&setup.stderr));
        String::from_utf8(setup.stdout).expect("paths")
    });
    let value = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    PathBuf::from(value.unwrap_or_else(|| panic!("no {name} in {shown}")))
}

/// The tools from npm.
pub fn node_modules() -> PathBuf {
    variable("CONFORMANCE_NODE_MODULES")
}

/// One of them.
pub fn npm_tool(name: &str) -> Command {
    let mut command = node();
    command.arg(node_modules().join(".bin").join(name));
    command
}

/// The tools' own Node.js.
pub fn node() -> Command {
    let mut command = Command::new("node");
    command.env("PATH", variable("PATH"));
    command
}

/// Python with the tools from PyPI.
pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", variable("SCHEMATHESIS_PACKAGES"));
    command
}

/// schemathesis.
pub fn schemathesis() -> Command {
    let mut command = python();
    command.args(["-m", "schemathesis.cli"]);
    command
}

/// Runs a tool to its end and gives what it printed, or stops the test with it.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let ended = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {command:?}\n{printed}", ended.status);
    printed
}

/// A folder that is gone afterwards.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("estop-conformance-{}", unique()));
        fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
