//! The guard: a second process of estop's that outlives it if it is killed, ends COMMAND's processes as a stop would, and
//! finishes the run.
//!
//! estop starts it before COMMAND and holds the only writing end of the pipe that is its standard input. The kernel closes
//! that end however estop dies, so all systems tell the guard at once. What it needs comes through the same pipe, and so
//! does the lease token, which process listings would show on a command line.
//!
//! Who is killed, and what follows:
//!
//! | | |
//! |---|---|
//! | estop | the guard stops COMMAND: SIGINT, SIGTERM, SIGKILL ([`process`]) |
//! | the guard | estop starts another; COMMAND, which is estop's child, notices nothing ([`keeper`]) |
//! | both at once | on Linux, the kernel kills COMMAND's process group ([`super::fuse`]) |

pub mod keeper;
pub mod process;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::delivery::Delivery;

/// A line of the pipe.
#[derive(Serialize, Deserialize)]
pub enum Message {
    /// The first one.
    Watch(Watch),
    /// COMMAND has started, as this process, which leads a group of its own.
    Started(i32),
    /// COMMAND's processes are gone. What is left is to send this.
    Finishing(Delivery),
    /// estop ends by itself, and so can the guard.
    Dismissed,
}

/// What to do if estop dies.
#[derive(Clone, Serialize, Deserialize)]
pub struct Watch {
    pub grace_seconds: u64,
    pub kill_after_seconds: u64,
    /// How long to try to finish the run.
    pub finish_within_seconds: u64,
    /// Where to leave what could not be recorded.
    pub keep_in: PathBuf,
    /// What COMMAND's processes carry.
    pub mark: String,
    /// Where COMMAND tells of its tests.
    #[serde(default)]
    pub exchange: Option<PathBuf>,
    /// `None` if COMMAND runs without the service.
    pub run: Option<Run>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Run {
    pub id: i64,
    /// The lease token.
    pub lease: String,
}

/// A log must not show the lease.
impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("run", &self.run.as_ref().map(|run| run.id)).finish_non_exhaustive()
    }
}
