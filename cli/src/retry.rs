//! Asking again: how long to wait, and until when.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::service::{Answer, Call, Service, Trouble};
use crate::terminal;

/// The waits between tries, without end: they double from `first` to `most`, and each is lengthened by chance, so that
/// runners which lost the service together do not come back together.
pub fn waits(first: Duration, most: Duration) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default().with_min_delay(first).with_max_delay(most).with_jitter().without_max_times().build()
}

/// How long to wait after `trouble`: as long as the service asks for, within reason, else as `planned`.
pub fn wait_after(trouble: &Trouble, planned: Duration, most: Duration) -> Duration {
    trouble.retry_after.map_or(planned, |asked| asked.max(planned).min(most))
}

/// Now. The one place where the CLI reads a clock; everything else gets a moment or a span.
#[expect(clippy::disallowed_methods, reason = "the CLI's edge")]
pub fn now() -> Instant {
    Instant::now()
}

/// Sends a request that is safe to repeat until something says what came of it, for at most `within`.
/// `pause` waits, and says whether to go on.
///
/// # Errors
/// The last trouble, once the time is up or `pause` says so.
pub fn send(
    service: &Service,
    call: &Call,
    within: Duration,
    mut pause: impl FnMut(Duration, &Trouble) -> bool,
) -> Result<Answer, Trouble> {
    let started = now();
    let mut waits = waits(Duration::from_millis(250), Duration::from_secs(5));
    loop {
        let trouble = match service.send(call) {
            Ok(answer) => return Ok(answer),
            Err(trouble) => trouble,
        };
        let wait = wait_after(&trouble, waits.next().unwrap_or(Duration::from_secs(5)), Duration::from_secs(60));
        if started.elapsed().saturating_add(wait) > within || !pause(wait, &trouble) {
            return Err(trouble);
        }
    }
}

/// As [`send`], sleeping between tries, with one line of warning.
///
/// # Errors
/// The last trouble, once the time is up.
pub fn send_patiently(service: &Service, call: &Call, within: Duration) -> Result<Answer, Trouble> {
    let mut warned = false;
    send(service, call, within, |wait, trouble| {
        if !std::mem::replace(&mut warned, true) {
            terminal::warn(format!("{}; trying again", trouble.what));
        }
        std::thread::sleep(wait);
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_limit_by_chance_and_never_end() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(2));
        let waits: Vec<Duration> = waits(first, most).take(500).collect();
        assert_eq!(waits.len(), 500);
        assert!(waits.iter().all(|w| *w >= first && *w <= most * 2), "{waits:?}");
        assert!(waits.iter().skip(10).all(|w| *w >= most));
    }

    #[test]
    fn the_service_may_ask_for_more_time_within_reason() {
        let s = Duration::from_secs;
        let asks = |retry_after| Trouble { what: String::new(), retry_after };
        assert_eq!(wait_after(&asks(None), s(1), s(60)), s(1));
        assert_eq!(wait_after(&asks(Some(s(5))), s(1), s(60)), s(5));
        assert_eq!(wait_after(&asks(Some(s(0))), s(1), s(60)), s(1));
        assert_eq!(wait_after(&asks(Some(s(86_400))), s(1), s(60)), s(60));
    }
}
