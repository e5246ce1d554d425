//! Retries: how long to wait between them, and when to give up.

use std::thread;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::clock;
use crate::service::{Call, Response, Service, TransportError};
use crate::terminal;

/// The longest `Retry-After` that is honoured.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A retry that is due after `delay`.
pub struct Retry<'a> {
    /// From 1.
    pub attempt: u32,
    pub delay: Duration,
    pub error: &'a TransportError,
}

/// Delays that double from `first` to `longest` and then stay there, with jitter, so that runners which lost the
/// service together do not return together.
pub fn backoff(first: Duration, longest: Duration) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

/// The planned delay, or as much more as the service asks for, within reason.
pub fn delay_after(retry_after: Option<Duration>, planned: Duration) -> Duration {
    retry_after.map_or(planned, |asked| asked.max(planned).min(LONGEST_RETRY_AFTER))
}

/// Sends a request that is safe to repeat until there is a response, for at most `within`. `wait` waits for the retry's
/// delay and returns whether to go on.
pub fn send_with(
    service: &Service,
    call: &Call,
    within: Duration,
    mut wait: impl FnMut(&Retry) -> bool,
) -> Result<Response, TransportError> {
    const LONGEST: Duration = Duration::from_secs(5);
    let started = clock::now();
    let mut delays = backoff(Duration::from_millis(250), LONGEST);
    let mut attempt = 0;
    loop {
        let error = match service.send(call) {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        attempt += 1;
        let delay = delay_after(error.retry_after, delays.next().unwrap_or(LONGEST));
        if clock::since(started).saturating_add(delay) > within || !wait(&Retry { attempt, delay, error: &error }) {
            return Err(error);
        }
    }
}

/// As [`send_with`], sleeping between the attempts, with a warning at the first retry.
pub fn send(service: &Service, call: &Call, within: Duration) -> Result<Response, TransportError> {
    send_with(service, call, within, |retry| {
        if retry.attempt == 1 {
            terminal::warn(format!("{}; retrying", retry.error));
        }
        thread::sleep(retry.delay);
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_their_limit_with_jitter_and_never_end() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let delays: Vec<Duration> = backoff(first, longest).take(500).collect();
        assert_eq!(delays.len(), 500);
        assert!(delays.iter().all(|d| *d >= first && *d <= longest * 2), "{delays:?}");
        assert!(delays.iter().skip(10).all(|d| *d >= longest));
    }

    #[test]
    fn the_service_may_ask_for_more_time_within_reason() {
        let s = Duration::from_secs;
        assert_eq!(delay_after(None, s(1)), s(1));
        assert_eq!(delay_after(Some(s(5)), s(1)), s(5));
        assert_eq!(delay_after(Some(s(0)), s(1)), s(1));
        assert_eq!(delay_after(Some(s(86_400)), s(1)), s(60));
    }
}
