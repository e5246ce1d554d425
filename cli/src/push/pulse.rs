//! Whether a line is alive. A cut cable is silent, and so is a service that has nothing to tell: a ping tells them apart.

use std::time::Duration;

/// How long each part of it takes.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long to hear nothing before a ping.
    pub silence: Duration,
    /// How long to wait for its answer.
    pub answer: Duration,
}

impl Patience {
    /// Back to short heartbeats within 40 s of a silent cut.
    pub const USUAL: Self = Self { silence: Duration::from_secs(20), answer: Duration::from_secs(20) };
}

/// Times are [`crate::clock`]'s, and arguments.
#[derive(Debug)]
pub struct Pulse {
    patience: Patience,
    heard: Duration,
    pinged: Option<Duration>,
    answered: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Listen for so long.
    Listen(Duration),
    Ping,
    /// The line is dead.
    GiveUp,
}

impl Pulse {
    /// Of a line that has been opened just now. Some proxies let the handshake through and nothing after it, so it begins
    /// with a ping.
    pub fn new(patience: Patience, now: Duration) -> Self {
        Self { patience, heard: now, pinged: None, answered: false }
    }

    pub fn next(&self, now: Duration) -> Next {
        let Patience { silence, answer } = self.patience;
        // From the ping on, not from the last sign of life: after a suspend of the machine that was long ago.
        let (since, limit, due) = match self.pinged {
            Some(pinged) => (pinged, answer, Next::GiveUp),
            None if self.answered => (self.heard, silence, Next::Ping),
            None => return Next::Ping,
        };
        let left = since.saturating_add(limit).saturating_sub(now);
        if left.is_zero() { due } else { Next::Listen(left) }
    }

    pub fn pinged(&mut self, now: Duration) {
        self.pinged = Some(now);
    }

    /// Anything at all came, and answers a ping. Returns whether it is the first sign of life.
    pub fn heard(&mut self, now: Duration) -> bool {
        self.heard = now;
        self.pinged = None;
        !std::mem::replace(&mut self.answered, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn alive(at: u64) -> Pulse {
        let mut pulse = Pulse::new(Patience::USUAL, S(at));
        pulse.pinged(S(at));
        assert!(pulse.heard(S(at)));
        pulse
    }

    #[test]
    fn a_new_line_is_pinged_at_once_and_counts_once_it_answers() {
        let mut pulse = Pulse::new(Patience::USUAL, S(100));
        assert_eq!(pulse.next(S(100)), Next::Ping);
        pulse.pinged(S(100));
        assert_eq!(pulse.next(S(101)), Next::Listen(S(19)));
        assert_eq!(pulse.next(S(120)), Next::GiveUp);
        assert!(pulse.heard(S(119)));
        assert!(!pulse.heard(S(119)), "only the first sign is the first");
        assert_eq!(pulse.next(S(119)), Next::Listen(S(20)));
    }

    #[test]
    fn silence_brings_a_ping_and_no_answer_is_the_end() {
        let mut pulse = alive(100);
        assert_eq!(pulse.next(S(119)), Next::Listen(S(1)));
        assert_eq!(pulse.next(S(120)), Next::Ping);
        pulse.pinged(S(120));
        assert_eq!(pulse.next(S(121)), Next::Listen(S(19)));
        assert_eq!(pulse.next(S(140)), Next::GiveUp);
    }

    #[test]
    fn whatever_comes_answers_a_ping() {
        let mut pulse = alive(100);
        pulse.pinged(S(120));
        assert!(!pulse.heard(S(121)));
        assert_eq!(pulse.next(S(122)), Next::Listen(S(19)));
    }

    #[test]
    fn a_machine_that_slept_asks_before_it_gives_up() {
        let mut pulse = alive(100);
        assert_eq!(pulse.next(S(9000)), Next::Ping);
        pulse.pinged(S(9000));
        assert_eq!(pulse.next(S(9001)), Next::Listen(S(19)));
    }
}
