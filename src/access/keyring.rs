//! The keys of the team at Cloudflare Access: fetched when a token needs one, and kept for a while.

use std::cell::RefCell;

use estop_protocol::time::Timestamp;
use serde::Deserialize;

/// How long the team's keys are believed to be all that there are, in milliseconds. Access takes a new one every six weeks,
/// and leaves the one before it valid for a week.
const FRESH: i64 = 3600 * 1000;

/// How often at most an unknown key has them asked for anew, in milliseconds: a flood of tokens with keys that somebody made
/// up must not become one of requests.
const ASK_EVERY: i64 = 60_000;

/// A public key of the team (RSA; RFC 7517, RFC 7518 section 6.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PublicKey {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    /// The modulus, in URL-safe base64.
    #[serde(default)]
    pub n: String,
    /// The exponent, in URL-safe base64.
    #[serde(default)]
    pub e: String,
}

/// The team's keys, as far as this isolate knows them.
#[derive(Debug, Default)]
pub struct Keyring(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    keys: Vec<PublicKey>,
    /// Since when; 0 if never.
    since: i64,
    /// When they were last asked for.
    asked: i64,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is the team's.
    Found(PublicKey),
    /// There is none of this name.
    Unknown,
    /// The team has to be asked.
    Ask,
}

impl Keyring {
    /// Looks a key up by its name.
    pub fn find(&self, kid: &str, now: Timestamp) -> Lookup {
        let mut known = self.0.borrow_mut();
        let fresh = now.0 < known.since + FRESH;
        match known.keys.iter().find(|key| key.kid == kid) {
            Some(key) if fresh => Lookup::Found(key.clone()),
            None if fresh && now.0 < known.asked + ASK_EVERY => Lookup::Unknown,
            _ => {
                known.asked = now.0;
                Lookup::Ask
            }
        }
    }

    /// Takes what the team says of its keys in place of what was known, and looks one up; `None` if it says nothing that can
    /// be read.
    pub fn learn(&self, certs: &str, kid: &str, now: Timestamp) -> Option<Lookup> {
        #[derive(Deserialize)]
        struct Certs {
            keys: Vec<PublicKey>,
        }
        let Certs { mut keys } = serde_json::from_str(certs).ok()?;
        keys.retain(|key| key.kty == "RSA");
        let found = keys.iter().find(|key| key.kid == kid).cloned();
        *self.0.borrow_mut() = Known { keys, since: now.0, asked: now.0 };
        Some(found.map_or(Lookup::Unknown, Lookup::Found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn certs(kids: &[&str]) -> String {
        let keys: Vec<Value> =
            kids.iter().map(|kid| json!({"kid": kid, "kty": "RSA", "alg": "RS256", "n": "n", "e": "e"})).collect();
        json!({"keys": keys, "public_cert": {"kid": "a", "cert": "x"}}).to_string()
    }

    fn known(lookup: &Lookup) -> Option<&str> {
        if let Lookup::Found(key) = lookup { Some(&key.kid) } else { None }
    }

    #[test]
    fn keys_are_asked_for_once_an_hour_and_for_an_unknown_one_once_a_minute() {
        let ring = Keyring::default();
        assert_eq!(ring.find("a", NOW), Lookup::Ask);
        assert_eq!(ring.find("a", NOW), Lookup::Ask, "as long as nothing is known");
        assert_eq!(ring.learn(&certs(&["a"]), "b", NOW), Some(Lookup::Unknown));
        assert_eq!(known(&ring.find("a", NOW.plus(FRESH - 1))), Some("a"));
        assert_eq!(ring.find("b", NOW.plus(ASK_EVERY - 1)), Lookup::Unknown);
        assert_eq!(ring.find("b", NOW.plus(ASK_EVERY)), Lookup::Ask);
        assert_eq!(ring.find("b", NOW.plus(ASK_EVERY)), Lookup::Unknown, "whatever came of it");
        assert_eq!(known(&ring.learn(&certs(&["b"]), "b", NOW.plus(ASK_EVERY)).expect("keys")), Some("b"));
        assert_eq!(ring.find("a", NOW.plus(ASK_EVERY)), Lookup::Unknown, "one that the team took back");
        assert_eq!(ring.find("b", NOW.plus(ASK_EVERY + FRESH)), Lookup::Ask);
    }

    #[test]
    fn what_is_no_list_of_keys_teaches_nothing() {
        let ring = Keyring::default();
        assert_eq!(known(&ring.learn(&certs(&["a"]), "a", NOW).expect("keys")), Some("a"));
        for odd in ["", "<html>", "{}", r#"{"keys":1}"#, r#"{"keys":["a"]}"#] {
            assert_eq!(ring.learn(odd, "a", NOW), None, "{odd}");
        }
        assert_eq!(known(&ring.find("a", NOW)), Some("a"));
        let odd = r#"{"keys":[{"kid":"a","kty":"EC"},{"kid":"a","kty":"oct","k":"x"},{}]}"#;
        assert_eq!(ring.learn(odd, "a", NOW), Some(Lookup::Unknown), "none of them is an RSA key");
    }
}
