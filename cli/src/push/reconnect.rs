//! When to try again after a line has ended, and when never.

use std::time::Duration;

use crate::retry;

/// The first retry comes at once, but for the jitter: runners that lost the service together do not return together.
const FIRST_DELAY: Duration = Duration::from_millis(150);

const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Where WebSockets do not get through it is not worth asking often.
const SLOW_DELAY: Duration = Duration::from_secs(60);

/// A line that lived for so long was a good one.
const STEADY: Duration = Duration::from_secs(10);

/// Failures in a row after which it is slow.
const TOLERATED_FAILURES: u32 = 20;

/// How an attempt at a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was open for so long.
    Lost(Duration),
    /// The service closed it because the key was revoked or has expired.
    KeyIsOver,
    /// This status instead of 101, and its `Retry-After`.
    Refused(u16, Option<Duration>),
    /// No answer, or no WebSocket's.
    Failed,
}

pub struct Reconnect {
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    failures: u32,
}

impl Reconnect {
    pub fn new() -> Self {
        Self { delays: Box::new(retry::backoff(FIRST_DELAY, LONGEST_DELAY)), failures: 0 }
    }

    /// How long to wait before the next attempt; `None`: there is no use in one.
    pub fn after(&mut self, attempt: Attempt) -> Option<Duration> {
        match attempt {
            // The key or lease is not enough, or the service is an older one.
            Attempt::KeyIsOver | Attempt::Refused(401 | 403 | 404 | 409 | 410 | 426, _) => return None,
            Attempt::Lost(lasted) if lasted >= STEADY => *self = Self::new(),
            _ => self.failures = self.failures.saturating_add(1),
        }
        let delay = self.delays.next().unwrap_or(LONGEST_DELAY);
        Some(match attempt {
            Attempt::Refused(429 | 500.., asked) => retry::delay_after(asked, self.at_least(delay)),
            Attempt::Refused(..) => SLOW_DELAY,
            _ => self.at_least(delay),
        })
    }

    fn at_least(&self, delay: Duration) -> Duration {
        if self.failures > TOLERATED_FAILURES { SLOW_DELAY } else { delay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_line_that_was_good_is_opened_again_at_once() {
        let mut reconnect = Reconnect::new();
        for _ in 0..50 {
            let delay = reconnect.after(Attempt::Lost(S(30))).expect("a delay");
            assert!(delay <= FIRST_DELAY * 2, "{delay:?}");
        }
    }

    #[test]
    fn failures_wait_longer_and_longer() {
        for attempt in [Attempt::Failed, Attempt::Lost(S(1)), Attempt::Refused(503, None)] {
            let mut reconnect = Reconnect::new();
            let delays: Vec<Duration> = (0..30).filter_map(|_| reconnect.after(attempt)).collect();
            assert!(delays[0] <= FIRST_DELAY * 2 && delays[9] >= LONGEST_DELAY && delays[9] < SLOW_DELAY, "{delays:?}");
            assert_eq!(delays[25], SLOW_DELAY);
            let after_a_good_one = reconnect.after(Attempt::Lost(S(30))).expect("a delay");
            assert!(after_a_good_one <= FIRST_DELAY * 2);
        }
    }

    #[test]
    fn a_service_may_ask_for_time_and_a_proxy_that_refuses_is_asked_rarely() {
        let mut reconnect = Reconnect::new();
        assert_eq!(reconnect.after(Attempt::Refused(503, Some(S(12)))), Some(S(12)));
        assert_eq!(reconnect.after(Attempt::Refused(429, Some(S(60)))), Some(S(60)));
        for status in [200, 302, 400, 407] {
            assert_eq!(reconnect.after(Attempt::Refused(status, None)), Some(SLOW_DELAY), "{status}");
        }
    }

    #[test]
    fn where_it_cannot_help_there_is_no_other_attempt() {
        for status in [401, 403, 404, 409, 410, 426] {
            assert_eq!(Reconnect::new().after(Attempt::Refused(status, Some(S(1)))), None, "{status}");
        }
        assert_eq!(Reconnect::new().after(Attempt::KeyIsOver), None);
    }
}
