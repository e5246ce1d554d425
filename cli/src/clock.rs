//! The only clock of the command-line tool. What counts is spans: nobody sets [`now`], and it goes on while the machine is
//! suspended, which `std::time::Instant` does not, so that a laptop that wakes up knows that its lease has run out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use estop_protocol::time::Timestamp;

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

/// The date by this machine: for what people say and read, such as `yesterday` or an age. It decides nothing.
#[expect(clippy::disallowed_methods, reason = "nothing depends on it but what is shown")]
pub fn date() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
