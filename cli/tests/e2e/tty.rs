//! At a terminal: a command may read from it, and the caller of estop gets it back.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::client::{Project, eventually};

/// A pseudoterminal, driven by the test.
struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Runs a script in a terminal of its own.
    fn running(script: &str, project: &Project) -> (Self, std::process::Child) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("a path");
        let tty = || File::options().read(true).write(true).open(&name).expect("a terminal");
        // setsid makes standard input the controlling terminal of a new session.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", "sh", "-c", script])
            .env("ESTOP", env!("CARGO_BIN_EXE_estop"))
            .env("ESTOP_URL", &project.server.url)
            .env("ESTOP_KEY", &project.key)
            .env("ESTOP_ENVIRONMENT", "staging")
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(tty())
            .stdout(tty())
            .stderr(tty())
            .spawn()
            .expect("setsid starts");
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut source, shared) = (keyboard.try_clone().expect("a terminal"), screen.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails once no process has the terminal open.
            while let Ok(length) = source.read(&mut buffer) {
                shared.lock().expect("a lock").push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        (Self { keyboard, screen }, child)
    }

    fn shows(&self, text: &str) {
        eventually(text, || self.screen.lock().expect("a lock").contains(text).then_some(()));
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("a keyboard");
    }
}

#[test]
fn a_command_may_read_from_the_terminal_and_the_caller_gets_it_back() {
    let project = Project::new();
    let script = "$ESTOP run -- sh -c 'read x; echo \"the command read <$x>\"'; echo \"code $?\"; read y; echo \"the caller read <$y>\"";
    let (mut terminal, mut child) = Terminal::running(script, &project);
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
        let (mut terminal, mut child) = Terminal::running(&script, &project);
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
