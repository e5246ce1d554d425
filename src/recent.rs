//! Who was refused too often, and who was let in, in the last minute.
//!
//! The runtime's rate limiter has no other question than "count this one: is it too many?". So an address that is over its
//! limit is remembered here, in the isolate's memory, and its requests cost neither the limiter nor the database anything.
//! Keys and leases that were let in are remembered too: whoever shares an address with a job that knocks with a revoked key
//! keeps his stop button.

use std::cell::RefCell;

/// How long anyone is remembered, in milliseconds: the window of the rate limiter in wrangler.toml.
pub const SPAN: i64 = 60_000;

/// How many are remembered at most.
const MOST: usize = 1000;

/// Names, each with what is to be known of it and until when (ms). So few are looked through from end to end.
#[derive(Debug, Default)]
pub struct Recent(RefCell<Vec<Known>>);

#[derive(Debug)]
struct Known {
    name: String,
    what: i64,
    until: i64,
}

impl Recent {
    /// For how many milliseconds more `name` is remembered, and with what; `None` if it is not.
    pub fn get(&self, name: &str, now: i64) -> Option<(i64, i64)> {
        let names = self.0.borrow();
        let known = names.iter().find(|known| known.name == name && known.until > now)?;
        Some((known.until - now, known.what))
    }

    /// Remembers `name` from now on. When there are too many, the one that was remembered first is forgotten.
    pub fn add(&self, name: &str, what: i64, now: i64) {
        let mut names = self.0.borrow_mut();
        names.retain(|known| known.until > now && known.name != name);
        if names.len() >= MOST {
            names.remove(0);
        }
        names.push(Known { name: name.to_owned(), what, until: now + SPAN });
    }
}

/// Whom an address stands for: of IPv6 its /64, which is what one customer is given. (The standard library's reader of
/// addresses would be 2 KB of the upload.)
pub fn network(address: &str) -> String {
    if !address.contains(':') {
        return address.to_owned();
    }
    let (left, right) = address.split_once("::").unwrap_or((address, ""));
    let groups = |text: &'_ str| text.split(':').filter(|group| !group.is_empty()).count();
    let zeros = std::iter::repeat_n("0", 8_usize.saturating_sub(groups(left) + groups(right)));
    let all = left.split(':').chain(zeros).chain(right.split(':')).filter(|group| !group.is_empty());
    all.take(4).collect::<Vec<_>>().join(":")
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
        assert_eq!(network("2001:db8::1"), network("2001:db8:0:0:1:2:3:4"));
        assert_eq!(network("::1"), network("0:0:0:0:9:9:9:9"));
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("anything"), "anything");
    }
}
