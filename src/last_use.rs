//! On which day a key was last used: whoever tidies up wants to know which keys nobody needs.
//!
//! The day goes along with the batch of a request, so it costs no round trip; and an isolate that has noted a key today has
//! no more to say of it, so it costs next to nothing at all.

use std::cell::RefCell;

use estop_protocol::time::Timestamp;

use crate::key::KeyHash;

/// The day of a moment (UTC), as days since 1970-01-01.
pub fn day(at: Timestamp) -> i64 {
    at.0 / (24 * 3600 * 1000)
}

/// How many keys are remembered at most. With more, some are noted more than once a day, which changes nothing.
const MOST: usize = 1000;

/// The keys that were noted today.
#[derive(Debug, Default)]
pub struct NotedToday(RefCell<(i64, Vec<KeyHash>)>);

impl NotedToday {
    /// Whether a key's use is noted.
    pub fn has(&self, key: &KeyHash, now: Timestamp) -> bool {
        let noted = self.0.borrow();
        noted.0 == day(now) && noted.1.contains(key)
    }

    /// A key was let in, and its use noted.
    pub fn add(&self, key: &KeyHash, now: Timestamp) {
        let day = day(now);
        let mut noted = self.0.borrow_mut();
        if noted.0 != day || noted.1.len() >= MOST {
            *noted = (day, Vec::new());
        }
        if !noted.1.contains(key) {
            noted.1.push(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_noted_once_a_day() {
        let (noted, key, other) = (NotedToday::default(), KeyHash::of("a"), KeyHash::of("b"));
        let evening = Timestamp(20_000 * 24 * 3600 * 1000 - 1);
        assert!(!noted.has(&key, evening));
        noted.add(&key, evening);
        assert!(noted.has(&key, evening) && !noted.has(&other, evening));
        assert!(!noted.has(&key, evening.plus(1)), "another day");
    }

    #[test]
    fn a_thousand_keys_are_remembered_and_no_more() {
        let noted = NotedToday::default();
        for n in 0..3 * MOST {
            noted.add(&KeyHash::of(&n.to_string()), Timestamp(0));
        }
        assert!(noted.0.borrow().1.len() <= MOST);
    }
}
