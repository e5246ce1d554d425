//! A person's session in a browser: a cookie that stands for a key.
//!
//! It holds the bucket and the SHA-256 of the key and when the session ends, under an HMAC of the secret `SESSION_SECRET`. So
//! it is nothing that could be sent as a key, nobody makes one who does not know the secret, and nothing of it is stored. The
//! database judges the key with every request, as it does one in `Authorization`.

use estop_protocol::time::Timestamp;
use hmac::Mac as _;

use crate::buckets::Bucket;
use crate::key::{KeyHash, mac};

/// The cookie's name. With this prefix a browser takes it from this host alone, over TLS (or from the machine itself), for
/// all paths.
const NAME: &str = "__Host-estop";

/// What goes with it: no script reads it, and no request from another site carries it.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// How long a session lasts, in milliseconds.
pub const LASTS: i64 = 12 * 3600 * 1000;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The key that it stands for.
    pub key: KeyHash,
    /// From this moment on it does not.
    pub ends: Timestamp,
}

impl Session {
    /// The `Set-Cookie` that begins it.
    pub fn cookie(&self, secret: &str) -> String {
        let content = format!("{}.{}.{}", self.key.bucket.as_str(), self.key.as_str(), self.ends.0);
        let seal = base16ct::lower::encode_string(&seal(secret, &content).finalize().into_bytes());
        format!("{NAME}={content}.{seal}; {ATTRIBUTES}; Max-Age={}", LASTS / 1000)
    }

    /// The `Set-Cookie` that ends any.
    pub fn end() -> String {
        format!("{NAME}=; {ATTRIBUTES}; Max-Age=0")
    }

    /// The session that a cookie's value stands for; `None` if it was not made with this secret, or is over.
    pub fn open(value: &str, secret: &str, now: Timestamp) -> Option<Self> {
        let (content, given) = value.rsplit_once('.')?;
        let mut bytes = [0; 32];
        let given = base16ct::lower::decode(given, &mut bytes).ok()?;
        // In constant time.
        seal(secret, content).verify_slice(given).ok()?;
        let (bucket, rest) = content.split_once('.')?;
        let (key, ends) = rest.split_once('.')?;
        let bucket = Bucket::parse(bucket)?;
        let ends = Timestamp(ends.parse().ok()?);
        (now < ends).then(|| Self { key: KeyHash::written(bucket, key), ends })
    }
}

/// The value of the session's cookie in a header `Cookie`.
pub fn value(cookies: &str) -> Option<&str> {
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(NAME)?.strip_prefix('='))
}

fn seal(secret: &str, content: &str) -> hmac::Hmac<sha2::Sha256> {
    mac(secret, ["estop session", content])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn session() -> Session {
        Session { key: KeyHash::of("estop_x"), ends: NOW.plus(LASTS) }
    }

    fn sent_back(set_cookie: &str) -> String {
        let pair = set_cookie.split(';').next().expect("a pair");
        value(&format!("theme=dark; {pair}; other=1")).expect("the cookie").to_owned()
    }

    #[test]
    fn the_cookie_is_pinned() {
        // python: hmac.new(hashlib.sha256(b"secret").digest(), b"estop session\\0" + content + b"\\0", "sha256").hexdigest()
        assert_eq!(
            session().cookie("secret"),
            "__Host-estop=00.f4d84e8aaa7b1dc8c859fc3d22600b16b8bc4d2876f3a0bfe2cc534d5ada9fb4.1800043200000.fd1edc07e0f468ef944dfa9a2f7b41084750c8a6f07383b19c86185afe7331a8; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200"
        );
    }

    #[test]
    fn it_stands_for_the_key_until_it_ends() {
        let value = sent_back(&session().cookie("secret"));
        let last = NOW.plus(LASTS - 1);
        assert_eq!(Session::open(&value, "secret", last), Some(session()));
        assert_eq!(Session::open(&value, "secret", NOW.plus(LASTS)), None);
        assert_eq!(Session::open(&value, "another", last), None);
    }

    #[test]
    fn no_byte_of_it_can_be_changed_and_none_left_out() {
        let value = sent_back(&session().cookie("secret"));
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let forged = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(Session::open(&forged, "secret", NOW), None, "{forged}");
            assert_eq!(Session::open(&value[..at], "secret", NOW), None, "{at}");
        }
        for odd in ["", ".", "...", &format!("{value}00"), &value.to_uppercase(), "é.é"] {
            assert_eq!(Session::open(odd, "secret", NOW), None, "{odd}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_by_its_whole_name() {
        assert_eq!(value("__Host-estop=a"), Some("a"));
        assert_eq!(value("x=1;__Host-estop=a=b"), Some("a=b"));
        assert_eq!(value(&Session::end()), Some(""));
        for none in ["", "__Host-estop", "__Host-estopx=a", "x__Host-estop=a", "__host-estop=a"] {
            assert_eq!(value(none), None, "{none}");
        }
    }
}
