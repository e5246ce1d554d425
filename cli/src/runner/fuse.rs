//! The fuse: on Linux, if estop and its guard are killed at the same moment, the kernel kills COMMAND's process group.
//!
//! COMMAND inherits the reading end of a pipe whose writing end only estop and the guard hold. Nothing is ever written to
//! it. When its last writer is gone, however it died, the kernel sends the reading end's owner (`F_SETOWN`) the signal that
//! it has been told to (`F_SETSIG`): SIGKILL, to the whole group.
//!
//! `PR_SET_PDEATHSIG` cannot do this, because it goes by COMMAND's parent alone. With estop as the parent, it would kill
//! COMMAND before the guard could stop it gracefully; with the guard as the parent, COMMAND would die with every guard; and
//! a third process between them would be one more whose death kills COMMAND.
//!
//! It does not reach a COMMAND that changes its user or closes what it inherits, as `sudo` does. Other systems
//! have no `F_SETSIG`: there, the fuse does nothing.

use std::io::{PipeReader, PipeWriter, Result};
use std::process::Command;

pub struct Fuse {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no F_SETSIG"))]
    reader: PipeReader,
    writer: PipeWriter,
}

impl Fuse {
    pub fn new() -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        Ok(Self { reader, writer })
    }

    /// Makes the guard one of the two that hold the fuse, as its standard output: it must never print anything there.
    pub fn hold_in(&self, guard: &mut Command) -> Result<()> {
        guard.stdout(self.writer.try_clone()?);
        Ok(())
    }

    /// Ties COMMAND to it. It must be started in a process group of its own.
    #[cfg(target_os = "linux")]
    pub fn tie(&self, command: &mut Command) {
        use std::os::fd::AsRawFd;
        use std::os::unix::process::CommandExt;

        let reader = self.reader.as_raw_fd();
        // In the child, before it becomes COMMAND: there is no moment at which COMMAND runs and is not tied.
        #[expect(unsafe_code, reason = "code between fork and exec")]
        // SAFETY: between fork and exec, `tie_this_group` makes system calls only: it neither allocates nor locks.
        unsafe {
            command.pre_exec(move || {
                tie_this_group(reader);
                Ok(())
            });
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub fn tie(&self, _command: &mut Command) {}
}

/// Where COMMAND finds its descriptor. Shell scripts use the low ones for themselves.
#[cfg(target_os = "linux")]
const OUT_OF_THE_WAY: i32 = 200;

/// Makes the kernel kill this process's group once the pipe has no writer. Where it cannot, as in a sandbox that imitates
/// Linux, COMMAND runs all the same.
#[cfg(target_os = "linux")]
fn tie_this_group(reader: std::os::fd::RawFd) {
    use linux_raw_sys::general::{F_DUPFD, F_SETFL, F_SETOWN, F_SETSIG, FASYNC};
    use nix::libc::{c_int, fcntl};

    let group = rustix::process::getpid().as_raw_pid().saturating_neg();
    let kill = rustix::process::Signal::KILL.as_raw();
    // FASYNC comes after the two, because from then on the signal is sent. The duplicate is what COMMAND inherits.
    let commands = [(F_SETOWN, group), (F_SETSIG, kill), (F_SETFL, FASYNC.cast_signed()), (F_DUPFD, OUT_OF_THE_WAY)];
    for (command, value) in commands {
        #[expect(unsafe_code, reason = "no library wraps F_SETOWN and F_SETSIG")]
        // SAFETY: these commands take a number, and read or write no memory of ours.
        let _ = unsafe { fcntl(reader, command.cast_signed() as c_int, value) };
    }
}

/// An estop that ends by itself lets those live whom COMMAND left behind.
#[cfg(target_os = "linux")]
impl Drop for Fuse {
    fn drop(&mut self) {
        let _ = rustix::fs::fcntl_setfl(&self.reader, rustix::fs::OFlags::empty());
    }
}
