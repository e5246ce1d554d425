//! The only clock of the command-line tool. It tells spans, not dates: nobody sets it, and it goes on while the machine
//! is suspended, which `std::time::Instant` does not, so that a laptop that wakes up knows that its lease has run out.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The time since some moment in the past, the same one for every call.
pub fn now() -> Duration {
    // It is never negative.
    clock_gettime(CLOCK).try_into().unwrap_or_default()
}

/// How long ago an earlier [`now`] was.
pub fn since(earlier: Duration) -> Duration {
    now().saturating_sub(earlier)
}
