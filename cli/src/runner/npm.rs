//! What npm puts before estop: a shell, and the launcher of estop's package. If one of them is killed, estop has to notice
//! by itself, which it can on Linux.

use super::signals::Heard;

/// The variable in which the launcher leaves its process id.
pub const LAUNCHER: &str = "ESTOP_LAUNCHER";

#[cfg(target_os = "linux")]
pub use linux::end_with_what_started_estop;

#[cfg(not(target_os = "linux"))]
pub fn end_with_what_started_estop(_: Heard) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::thread;
    use std::time::Duration;

    use rustix::process::{self, Pid, Signal};

    use super::super::process_table;
    use super::super::signals::ECHO;
    use super::{Heard, LAUNCHER};

    /// How often to look whether the shell is there.
    const LOOK: Duration = Duration::from_millis(250);

    /// Ends estop with the launcher that could not become estop, and interrupts it, as Ctrl-C does, with npm's shell.
    pub fn end_with_what_started_estop(heard: Heard) {
        let launcher = launcher();
        if launcher.is_some() {
            let _ = process::set_parent_process_death_signal(Some(Signal::TERM));
            // It may have been killed before that.
            if launcher != process::getppid() {
                let _ = process::kill_process(process::getpid(), Signal::TERM);
            }
        }
        // The shell's child.
        let child = launcher.unwrap_or_else(process::getpid);
        if let Some(shell) = parent(child).filter(|shell| is_npms(*shell)) {
            thread::spawn(move || interrupt_without(shell, child, &heard));
        }
    }

    fn launcher() -> Option<Pid> {
        let pid = std::env::var(LAUNCHER).ok()?.parse().ok().and_then(Pid::from_raw);
        pid.filter(|_| pid == process::getppid())
    }

    fn parent(child: Pid) -> Option<Pid> {
        Pid::from_raw(process_table::find(child)?.parent)
    }

    fn is_npms(shell: Pid) -> bool {
        let script = std::env::var("npm_lifecycle_script").unwrap_or_default();
        let command_line = std::fs::read(format!("/proc/{}/cmdline", shell.as_raw_pid())).unwrap_or_default();
        runs(&String::from_utf8_lossy(&command_line), &script)
    }

    /// Whether a command line (its words end in NUL) is that of a shell which runs npm's script and waits for all of it.
    pub(super) fn runs(command_line: &str, script: &str) -> bool {
        let leaves_some_behind = script.replace("&&", "").contains('&');
        let is_run = command_line.split('\0').skip(1).any(|word| word.starts_with(script));
        is_run && !script.is_empty() && !leaves_some_behind
    }

    /// npx and `npm run` pass SIGINT and SIGTERM on to their shell alone. Many (dash, in Debian and Ubuntu) stay while a
    /// command runs, keep a SIGINT to themselves, and die of a SIGTERM without a word to the command.
    fn interrupt_without(shell: Pid, child: Pid, heard: &Heard) {
        while parent(child) == Some(shell) {
            thread::sleep(LOOK);
        }
        // Ctrl-C, which kills the shell, reaches estop as well, and is not to count twice.
        thread::sleep(ECHO);
        if !heard.any() {
            let _ = process::kill_process(process::getpid(), Signal::INT);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::runs;

    #[test]
    fn npms_shell_is_known_by_its_script() {
        assert!(runs("sh\0-c\0'estop' run -- playwright test\0", "'estop'"), "npx");
        assert!(runs("sh\0-c\0build && estop run -- a\0", "build && estop run -- a"), "npm run");
        for (command_line, script) in [
            ("sh\0-c\0estop run -- a\0", ""),
            ("sh\0/usr/bin/wrapper\0estop\0", "'estop'"),
            ("npm exec estop run\0", "npm"),
            ("", "'estop'"),
        ] {
            assert!(!runs(command_line, script), "{command_line:?} {script:?}");
        }
    }

    #[test]
    fn a_shell_that_does_not_wait_for_estop_may_end() {
        assert!(!runs("sh\0-c\0estop run -- a & sleep 1\0", "estop run -- a & sleep 1"));
    }
}
