//! On which day a key was last used: whoever tidies up wants to know which keys nobody needs.
//!
//! The day goes along with the batch of a request, so it costs no round trip; and an isolate that has noted a key today has
//! no more to say of it, so it costs next to nothing at all.

use std::cell::RefCell;

use estop_protocol::time::Timestamp;

use crate::key::KeyHash;
use crate::runtime::{Sql, Statement, sql};

const NOTE: Sql = sql!("last_use/note.sql");

const DAY: i64 = 24 * 3600 * 1000;

/// How many keys are remembered at most. With more, some are noted more than once a day, which changes nothing.
const MOST: usize = 1000;

/// The keys that were noted today.
#[derive(Debug, Default)]
pub struct NotedToday(RefCell<(i64, Vec<KeyHash>)>);

impl NotedToday {
    /// The statement that notes a key's use, unless that is done.
    pub fn note<'a>(&self, key: &'a KeyHash, now: Timestamp) -> Option<Statement<'a>> {
        let day = now.0 / DAY;
        let noted = self.0.borrow();
        let done = noted.0 == day && noted.1.contains(key);
        (!done).then(|| Statement::new(NOTE, vec![key.as_str().into(), now.0.into(), day.into()]))
    }

    /// A key was let in, and the statement was in that batch.
    pub fn add(&self, key: &KeyHash, now: Timestamp) {
        let day = now.0 / DAY;
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
        let evening = Timestamp(20_000 * DAY - 1);
        assert!(noted.note(&key, evening).is_some(), "it is not known whether that request was let in");
        noted.add(&key, evening);
        assert!(noted.note(&key, evening).is_none() && noted.note(&other, evening).is_some());
        assert!(noted.note(&key, evening.plus(1)).is_some(), "another day");
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
