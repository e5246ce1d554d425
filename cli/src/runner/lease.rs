//! Until when a lease is certainly ours, by our own clock, so that `--exclusive` needs no service to know it.
//!
//! Each error errs towards too early. A lease begins when the service writes it, which is after the request was sent,
//! and the service's clock is never compared with this machine's: its own answers say what it showed.

use std::time::Duration;

use estop_protocol::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its end by the service's clock.
    expires_at: Timestamp,
    /// The same moment by [`crate::clock`], or a little earlier.
    until: Duration,
    /// How long a renewal lasts.
    length: Duration,
}

/// What the service's clock showed at the most when a request was sent.
#[derive(Debug, Clone, Copy)]
pub struct ServiceTime {
    /// The answer's `Date`, which is cut to the second.
    pub date: Option<Timestamp>,
    /// What the service's clock showed at the most by an earlier answer, and the time since then. It holds unless the
    /// machine's clock stood still, as that of a virtual machine does while it is paused.
    pub counted: Timestamp,
}

impl ServiceTime {
    fn latest(self) -> Timestamp {
        self.date.map_or(self.counted, |date| date.plus(1000))
    }
}

impl Lease {
    /// A lease that a claim brought, which was sent at `sent`.
    pub fn claimed(expires_at: Timestamp, sent: Duration, service: ServiceTime) -> Self {
        let length = millis(expires_at.since(service.latest()));
        Self { expires_at, until: sent.saturating_add(length), length }
    }

    /// After a heartbeat that was sent at `sent`. Most of them renew nothing: the service does so once less than half
    /// of the lease is left.
    #[must_use]
    pub fn after_heartbeat(self, expires_at: Timestamp, sent: Duration) -> Self {
        let added = expires_at.since(self.expires_at);
        let moved = if added < 0 {
            self.until.saturating_sub(millis(added.saturating_neg()))
        } else {
            self.until.saturating_add(millis(added))
        };
        let until = if added == 0 { self.until } else { moved.min(sent.saturating_add(self.length)) };
        Self { expires_at, until, ..self }
    }

    pub fn until(self) -> Duration {
        self.until
    }

    pub fn length(self) -> Duration {
        self.length
    }
}

/// None of it if it is negative.
fn millis(span: i64) -> Duration {
    Duration::from_millis(u64::try_from(span).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_795_340_000_000 + seconds * 1000)
    }

    /// Claimed at 10 s of our clock, when the service's shows 500 s, for 120 s.
    fn claimed(date: Option<Timestamp>) -> Lease {
        Lease::claimed(at(620), secs(10), ServiceTime { date, counted: at(500) })
    }

    #[test]
    fn a_lease_is_counted_from_the_moment_its_request_was_sent() {
        assert_eq!(claimed(None).until(), secs(130));
        assert_eq!(claimed(Some(at(500))).until(), secs(129), "the date is up to a second late");
        assert_eq!(claimed(Some(at(560))).until(), secs(69), "the date counts, whatever was counted");
    }

    #[test]
    fn a_lease_that_is_over_when_it_arrives_has_no_time_left() {
        let lease = Lease::claimed(at(620), secs(10), ServiceTime { date: Some(at(700)), counted: at(0) });
        assert_eq!(lease.until(), secs(10));
    }

    #[test]
    fn only_a_heartbeat_that_renews_extends_it() {
        let lease = claimed(None);
        assert_eq!(lease.after_heartbeat(at(620), secs(60)), lease);
        assert_eq!(lease.after_heartbeat(at(681), secs(71)).until(), secs(191));
        let twice = lease.after_heartbeat(at(681), secs(71)).after_heartbeat(at(742), secs(132));
        assert_eq!(twice.until(), secs(252));
    }

    #[test]
    fn a_renewal_never_counts_for_more_than_both_clocks_say() {
        let lease = claimed(None);
        assert_eq!(lease.after_heartbeat(at(680), secs(71)).until(), secs(190), "the service added 60 s");
        assert_eq!(lease.after_heartbeat(at(690), secs(71)).until(), secs(191), "120 s after it was sent");
        assert_eq!(lease.after_heartbeat(at(590), secs(71)).until(), secs(100), "its settings were changed");
    }
}
