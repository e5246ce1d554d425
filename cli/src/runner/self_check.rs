//! Whether `estop run` could stop here what COMMAND starts: a group of processes is started and killed in the same way.

use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::children::Children;
use super::environment::MARK;
use super::fuse::Fuse;
use super::process_group::ProcessGroup;
use super::supervisor::{Remaining, Signal};
use crate::clock;

/// How long each step may take.
const STEP: Duration = Duration::from_secs(5);

/// The group's leader, and a guard, which leaves the group. Both read a pipe of ours and so end with us, whatever happens.
const SCRIPT: &str = "exec 3<&0; \"$0\" guard <&3 & read -r _";

/// What can be stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Reach {
    /// The process group, and what has left it.
    Everything,
    /// The process group alone.
    Group,
}

/// # Errors
/// What does not work.
pub fn reach() -> Result<Reach, String> {
    let estop = std::env::current_exe().map_err(|error| format!("estop does not find itself: {error}"))?;
    let (events, _inbox) = channel();
    let children = Children::new(events);
    let fuse = Fuse::new().map_err(|error| format!("a pipe cannot be made: {error}"))?;
    let mark = format!("{:032x}", fastrand::u128(..));
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).arg(estop).env(MARK, &mark);
    // A guard that guards nothing asks no service, but wants to know where one is.
    command.env("ESTOP_URL", "http://127.0.0.1").env("ESTOP_KEY", "none");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // Nothing is ever written to it.
    let (theirs, _ours) = std::io::pipe().map_err(|error| format!("a pipe cannot be made: {error}"))?;
    command.stdin(theirs);
    let group = ProcessGroup::start(&mut command, &mark, Some(&fuse), &children)
        .map_err(|error| format!("sh cannot be started in a process group of its own: {error}"))?;
    // The command holds the reading end, too, and the pipe is to end with the processes.
    drop(command);
    let reach = try_out(&group);
    group.signal(Signal::Kill, true);
    reach
}

#[cfg(target_os = "linux")]
fn try_out(group: &ProcessGroup) -> Result<Reach, String> {
    let sees_strays = comes(|| group.has_stray());
    group.signal(Signal::Kill, false);
    if !comes(|| group.remaining() != Remaining::Group) {
        return Err("a process group could not be killed".to_owned());
    }
    if !sees_strays {
        return Ok(Reach::Group);
    }
    if group.remaining() != Remaining::Strays {
        return Err("a process that had left its group is gone before anyone stopped it".to_owned());
    }
    group.signal(Signal::Kill, true);
    if comes(|| group.remaining() == Remaining::None) {
        Ok(Reach::Everything)
    } else {
        Err("a process that has left its group could not be killed".to_owned())
    }
}

#[cfg(not(target_os = "linux"))]
fn try_out(group: &ProcessGroup) -> Result<Reach, String> {
    group.signal(Signal::Kill, false);
    if comes(|| group.remaining() == Remaining::None) {
        Ok(Reach::Group)
    } else {
        Err("a process group could not be killed".to_owned())
    }
}

/// Whether it comes true within a [`STEP`].
fn comes(condition: impl Fn() -> bool) -> bool {
    let deadline = clock::now().saturating_add(STEP);
    loop {
        if condition() {
            return true;
        }
        if clock::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
