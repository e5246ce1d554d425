//! What comes after an attempt.

use estop_protocol::time::Timestamp;
use estop_protocol::webhooks::{DeliveryFailure, DeliveryState};
use serde::Deserialize;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// How long after each failed attempt the next one is due: ten attempts in a good three days. Milliseconds.
pub const RETRIES: [i64; 9] =
    [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// The status with which a receiver says that it is gone for good (RFC 9110 section 15.5.11).
const GONE: u16 = 410;

/// The longest that a receiver can ask us to wait. Milliseconds.
const LONGEST_WAIT: i64 = 24 * HOUR;

/// What was heard of a receiver.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub struct Heard {
    /// The HTTP status; none if there was no whole answer.
    pub status: Option<u16>,
    /// How long it asks us to wait (`Retry-After`, RFC 9110 section 10.2.3). Milliseconds.
    pub retry_after: Option<i64>,
    /// The beginning of its answer.
    pub body: Option<String>,
    /// Whether there was none because the time was up, and not for want of a connection.
    pub timed_out: bool,
    /// How many requests it took.
    #[serde(default)]
    pub calls: u32,
    /// Of GitHub: whether it gave no token, and this is why.
    #[serde(default)]
    pub refused: bool,
    /// Of GitHub: the id of what it has made or changed.
    pub id: Option<i64>,
}

/// What comes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Where the delivery is now.
    pub state: DeliveryState,
    /// When the next attempt is due, if there is one.
    pub due_at: Option<Timestamp>,
    /// Why the attempt failed.
    pub failure: Option<DeliveryFailure>,
}

impl Next {
    /// The end that one hopes for.
    pub const DELIVERED: Self = Self { state: DeliveryState::Delivered, due_at: None, failure: None };
}

/// What comes of attempt number `attempt`, which ended at `now`. `chance` is from 0 to 1: up to a tenth is added to a wait, so
/// that what failed together does not come back together.
pub fn next(heard: &Heard, attempt: i64, now: Timestamp, chance: f64) -> Next {
    let failure = match heard.status {
        Some(200..=299) => return Next::DELIVERED,
        Some(300..=399) => DeliveryFailure::Redirect,
        Some(_) => DeliveryFailure::Status,
        None if heard.timed_out => DeliveryFailure::Timeout,
        None => DeliveryFailure::Unreachable,
    };
    let wait = usize::try_from(attempt - 1).ok().and_then(|index| RETRIES.get(index));
    let Some(wait) = wait.filter(|_| heard.status != Some(GONE)) else {
        return Next { state: DeliveryState::Failed, due_at: None, failure: Some(failure) };
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a tenth of a day at most")]
    let jitter = (*wait as f64 / 10.0 * chance.clamp(0.0, 1.0)) as i64;
    let asked = heard.retry_after.unwrap_or(0).clamp(0, LONGEST_WAIT);
    let due_at = now.plus((wait + jitter).max(asked));
    Next { state: DeliveryState::Due, due_at: Some(due_at), failure: Some(failure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    const UNREACHABLE: Heard =
        Heard { status: None, retry_after: None, body: None, timed_out: false, calls: 1, refused: false, id: None };
    const TIMEOUT: Heard = Heard { timed_out: true, body: None, ..UNREACHABLE };

    fn answer(status: u16, retry_after: Option<i64>) -> Heard {
        Heard { status: Some(status), retry_after, ..UNREACHABLE }
    }

    fn wait(heard: &Heard, attempt: i64, chance: f64) -> Option<i64> {
        next(heard, attempt, NOW, chance).due_at.map(|at| at.since(NOW))
    }

    #[test]
    fn any_2xx_ends_it_and_nothing_else_does() {
        for status in [200, 202, 204, 299] {
            assert_eq!(next(&answer(status, None), 1, NOW, 0.0).state, DeliveryState::Delivered);
        }
        for (heard, failure) in [
            (answer(199, None), DeliveryFailure::Status),
            (answer(301, None), DeliveryFailure::Redirect),
            (answer(304, None), DeliveryFailure::Redirect),
            (answer(400, None), DeliveryFailure::Status),
            (answer(500, None), DeliveryFailure::Status),
            (TIMEOUT, DeliveryFailure::Timeout),
            (UNREACHABLE, DeliveryFailure::Unreachable),
        ] {
            let next = next(&heard, 1, NOW, 0.0);
            assert_eq!((next.state, next.failure), (DeliveryState::Due, Some(failure)), "{heard:?}");
        }
    }

    #[test]
    fn ten_attempts_in_three_days_and_then_it_is_given_up() {
        let waits: Vec<i64> = (1..=9).map(|n| wait(&TIMEOUT, n, 0.0).expect("another") / MINUTE).collect();
        assert_eq!(waits, [1, 5, 30, 120, 300, 600, 840, 1200, 1440]);
        for attempt in [10, 11, 1000, 0, -1] {
            let next = next(&TIMEOUT, attempt, NOW, 0.0);
            assert_eq!((next.state, next.due_at), (DeliveryState::Failed, None), "{attempt}");
        }
    }

    #[test]
    fn up_to_a_tenth_is_added() {
        let waits = [0.0, 0.5, 1.0, 7.0].map(|chance| wait(&TIMEOUT, 2, chance));
        assert_eq!(waits, [300_000, 315_000, 330_000, 330_000].map(Some));
    }

    #[test]
    fn what_is_gone_is_not_tried_again() {
        assert_eq!(next(&answer(410, Some(5)), 1, NOW, 0.0).state, DeliveryState::Failed);
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_but_not_for_less_and_not_for_ever() {
        for (asked, expected) in [
            (600_000, 600_000),
            (5_000, MINUTE),
            (0, MINUTE),
            (-5, MINUTE),
            (LONGEST_WAIT + 1, LONGEST_WAIT),
            (i64::MAX, LONGEST_WAIT),
        ] {
            assert_eq!(wait(&answer(429, Some(asked)), 1, 0.0), Some(expected), "{asked}");
        }
    }
}
