//! How often to send heartbeats. They carry the orders while no line does, and else only keep the lease.

use std::time::Duration;

use estop_protocol::claim;

use super::lease::Lease;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From the start of one heartbeat to the start of the next.
    short: Duration,
    /// The same while a line is open; `None` if the service has no lines.
    watched: Option<Duration>,
    line_is_open: bool,
    stopping: bool,
}

impl Rhythm {
    /// As the claim's answer has it. `lease` is how it counts by our own clock.
    pub fn new(claimed: &claim::Lease, lease: Lease) -> Self {
        let within = |seconds, most| Duration::from_secs(u64::try_from(seconds).unwrap_or(0).clamp(1, most));
        let short = within(claimed.heartbeat_seconds, 60);
        // The service renews a lease of which less than half is left, so there is always time for one that fails.
        let longest = lease.length() / 4;
        let watched = claimed.heartbeat_seconds_watched;
        let watched = watched.map(|seconds| within(seconds, 3600).min(longest).max(short));
        Self { short, watched, line_is_open: false, stopping: false }
    }

    pub fn has_lines(&self) -> bool {
        self.watched.is_some()
    }

    pub fn line(&mut self, is_open: bool) {
        self.line_is_open = is_open;
    }

    /// An order has come. There may be another one, to kill, and nobody wants to wait for it.
    pub fn stopping(&mut self) {
        self.stopping = true;
    }

    pub fn short(&self) -> Duration {
        self.short
    }

    pub fn interval(&self) -> Duration {
        match self.watched {
            Some(watched) if self.line_is_open && !self.stopping => watched,
            _ => self.short,
        }
    }
}

#[cfg(test)]
mod tests {
    use estop_protocol::time::Timestamp;

    use super::*;
    use crate::runner::lease::ServiceTime;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn rhythm(lease_seconds: i64, heartbeat_seconds: i64, heartbeat_seconds_watched: Option<i64>) -> Rhythm {
        let expires_at = Timestamp(lease_seconds * 1000);
        let counted = ServiceTime { date: None, counted: Timestamp(0) };
        let lease = Lease::claimed(expires_at, S(5), counted);
        let token = String::new();
        Rhythm::new(&claim::Lease { token, expires_at, heartbeat_seconds, heartbeat_seconds_watched }, lease)
    }

    #[test]
    fn heartbeats_are_rare_only_while_a_line_is_open_and_nothing_is_being_stopped() {
        let mut rhythm = rhythm(120, 2, Some(30));
        assert_eq!(rhythm.interval(), S(2));
        rhythm.line(true);
        assert_eq!(rhythm.interval(), S(30));
        rhythm.line(false);
        assert_eq!(rhythm.interval(), S(2));
        rhythm.line(true);
        rhythm.stopping();
        assert_eq!(rhythm.interval(), S(2));
    }

    #[test]
    fn a_quarter_of_the_lease_is_the_longest_they_wait() {
        for (lease, heartbeat, watched, expected) in
            [(60, 2, 30, 15), (4, 2, 30, 2), (2, 1, 30, 1), (86_400, 2, 30, 30)]
        {
            let mut rhythm = rhythm(lease, heartbeat, Some(watched));
            rhythm.line(true);
            assert_eq!(rhythm.interval(), S(expected), "{lease} s");
        }
    }

    #[test]
    fn a_service_without_lines_gets_heartbeats_as_ever() {
        let mut rhythm = rhythm(120, 2, None);
        assert!(!rhythm.has_lines());
        rhythm.line(true);
        assert_eq!(rhythm.interval(), S(2));
    }
}
