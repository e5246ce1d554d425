//! The addresses that sent too many requests that were refused, and how long they have to wait.
//!
//! The runtime's rate limiter can only be asked by counting, and counts no request that it has not been asked about. So an
//! address that is over its limit is remembered here, in the isolate's memory, and its requests cost neither the limiter
//! nor the database anything.

use std::cell::RefCell;
use std::collections::HashMap;

/// How long an address is refused, in milliseconds: the window of the rate limiter in wrangler.toml.
pub const SPAN: i64 = 60_000;

/// How many addresses are remembered at most.
const MOST: usize = 1000;

/// The addresses and until when (ms) they are refused.
#[derive(Debug, Default)]
pub struct Blocked(RefCell<HashMap<String, i64>>);

impl Blocked {
    /// For how many milliseconds more `address` is refused; `None` if it is not.
    pub fn left(&self, address: &str, now: i64) -> Option<i64> {
        let until = *self.0.borrow().get(address)?;
        (until > now).then_some(until - now)
    }

    /// Refuses `address` from now on. When there are too many, the one that is forgotten is the one that would be next.
    pub fn add(&self, address: &str, now: i64) {
        let mut addresses = self.0.borrow_mut();
        if addresses.len() >= MOST {
            addresses.retain(|_, until| *until > now);
        }
        if addresses.len() >= MOST {
            let next = addresses.iter().min_by_key(|(_, until)| **until).map(|(address, _)| address.clone());
            next.map(|address| addresses.remove(&address));
        }
        addresses.insert(address.to_owned(), now + SPAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_refused_for_a_minute() {
        let blocked = Blocked::default();
        assert_eq!(blocked.left("a", 0), None);
        blocked.add("a", 1_000);
        assert_eq!((blocked.left("a", 2_000), blocked.left("b", 2_000)), (Some(59_000), None));
        assert_eq!(blocked.left("a", 61_000), None);
    }

    #[test]
    fn a_thousand_addresses_are_remembered_and_no_more() {
        let blocked = Blocked::default();
        for n in 0..3_000 {
            blocked.add(&format!("{n}"), n);
        }
        assert_eq!(blocked.0.borrow().len(), MOST);
        assert_eq!((blocked.left("1999", 3_000), blocked.left("2000", 3_000)), (None, Some(59_000)));
        blocked.add("later", 100_000);
        assert_eq!(blocked.0.borrow().len(), 1, "what is past is forgotten first");
    }
}
