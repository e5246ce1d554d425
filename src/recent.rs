//! Who was refused too often, and who was let in, in the last minute.
//!
//! The runtime's rate limiter has no other question than "count this one: is it too many?". So an address that is over its
//! limit is remembered here, in the isolate's memory, and its requests cost neither the limiter nor the database anything.
//! Keys and leases that were let in are remembered too: whoever shares an address with a job that knocks with a revoked key
//! keeps his stop button.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv6Addr;

/// How long anyone is remembered, in milliseconds: the window of the rate limiter in wrangler.toml.
pub const SPAN: i64 = 60_000;

/// How many are remembered at most.
const MOST: usize = 1000;

/// Names, each with what is to be known of it and until when (ms).
#[derive(Debug, Default)]
pub struct Recent(RefCell<HashMap<String, (i64, i64)>>);

impl Recent {
    /// For how many milliseconds more `name` is remembered, and with what; `None` if it is not.
    pub fn get(&self, name: &str, now: i64) -> Option<(i64, i64)> {
        let (until, what) = *self.0.borrow().get(name)?;
        (until > now).then_some((until - now, what))
    }

    /// Remembers `name` from now on. When there are too many, the one that is forgotten is the one that would be next.
    pub fn add(&self, name: &str, what: i64, now: i64) {
        let mut names = self.0.borrow_mut();
        if names.len() >= MOST && !names.contains_key(name) {
            names.retain(|_, (until, _)| *until > now);
        }
        if names.len() >= MOST && !names.contains_key(name) {
            let next = names.iter().min_by_key(|(_, (until, _))| *until).map(|(name, _)| name.clone());
            next.map(|name| names.remove(&name));
        }
        names.insert(name.to_owned(), (now + SPAN, what));
    }
}

/// Whom an address stands for: of IPv6 its /64, which is what one customer is given.
pub fn network(address: &str) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_remembered_for_a_minute() {
        let recent = Recent::default();
        assert_eq!(recent.get("a", 0), None);
        recent.add("a", 7, 1_000);
        assert_eq!((recent.get("a", 2_000), recent.get("b", 2_000)), (Some((59_000, 7)), None));
        assert_eq!(recent.get("a", 61_000), None);
    }

    #[test]
    fn a_thousand_names_are_remembered_and_no_more() {
        let recent = Recent::default();
        for n in 0..3_000 {
            recent.add(&format!("{n}"), 0, n);
        }
        recent.add("2999", 0, 2_999);
        assert_eq!(recent.0.borrow().len(), MOST);
        assert_eq!((recent.get("1999", 3_000), recent.get("2000", 3_000)), (None, Some((59_000, 0))));
        recent.add("later", 0, 100_000);
        assert_eq!(recent.0.borrow().len(), 1, "what is past is forgotten first");
    }

    #[test]
    fn an_ipv6_customer_is_one_however_many_addresses_he_uses() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("anything"), "anything");
    }
}
