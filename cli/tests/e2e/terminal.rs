//! A pseudoterminal, driven by the test.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::client::eventually;
use crate::support::{Said, take_no_ignored_signals};

pub struct Terminal {
    keyboard: File,
    pub screen: Said,
}

impl Terminal {
    /// Runs a script in a terminal of its own.
    pub fn running(script: &str, environment: &[(&str, &str)]) -> (Self, Child) {
        take_no_ignored_signals();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("a path");
        let tty = || File::options().read(true).write(true).open(&name).expect("a terminal");
        // setsid makes standard input the controlling terminal of a new session.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", "sh", "-c", script])
            .envs(environment.iter().copied())
            .env("ESTOP_ENVIRONMENT", "staging")
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(tty())
            .stdout(tty())
            .stderr(tty())
            .spawn()
            .expect("setsid starts");
        let keyboard = File::from(master);
        let screen = Said::default();
        let (mut source, shared) = (keyboard.try_clone().expect("a terminal"), screen.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails once no process has the terminal open.
            while let Ok(length) = source.read(&mut buffer) {
                shared.push(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        (Self { keyboard, screen }, child)
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        eventually(text, || self.screen.so_far().contains(text).then_some(()));
    }

    pub fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("a keyboard");
    }
}
