//! Keys: make, parse, hash, compare. The plain text lives as short as it can, and `Debug` never prints it.
//!
//! A key is `estop_`, 2 characters for the bucket that its project lives in, 43 of a secret (32
//! bytes, URL-safe base64) and 6 of a checksum (CRC-32 of all before it, in base 62), so that a typing error is refused
//! without the database. Keys from before 0.2.0 are `estop_` and the secret alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
pub use estop_protocol::keys::Scope;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::buckets::Bucket;

/// The key that `seed.sql` creates for a laptop. It is public, so it is unknown wherever the
/// Worker was not started with `ESTOP_LOCAL=1`, which no deployment sets: even a database that someone seeded by
/// mistake does not open to it.
pub const LOCAL_DEMO: &str = "estop_local-demo-key-for-your-own-laptop-only-000";

const PREFIX: &str = "estop_";
/// 32 bytes in base64 without padding.
const SECRET_LEN: usize = 43;
/// The bucket's name.
const BUCKET_LEN: usize = 2;
const CHECKSUM_LEN: usize = 6;

/// What the database knows of a key: its SHA-256 in lower-case hex. With it, the bucket that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHash {
    hex: String,
    /// The bucket.
    pub bucket: Bucket,
}

impl KeyHash {
    /// The hex text, as stored.
    pub fn as_str(&self) -> &str {
        &self.hex
    }

    /// Hashes a key's plain text, which says in which bucket it is.
    pub fn of(key: &str) -> Self {
        Self { hex: base16ct::lower::encode_string(&Sha256::digest(key.as_bytes())), bucket: bucket_of(key) }
    }

    /// A hash that estop itself has written down.
    pub fn written(bucket: Bucket, hex: &str) -> Self {
        Self { hex: hex.to_owned(), bucket }
    }
}

/// A key's plain text: shown once, in the answer to the request that made it.
pub struct PlainKey(String);

impl PlainKey {
    /// A new key of a bucket from 32 random bytes.
    pub fn from_random(bucket: Bucket, bytes: [u8; 32]) -> Self {
        let key = format!("{PREFIX}{}{}", bucket.as_str(), URL_SAFE_NO_PAD.encode(bytes));
        let checksum = checksum(&key);
        Self(key + &checksum)
    }

    /// The key that a request with an Idempotency-Key makes: the same one again when the request is repeated, although only
    /// its hash is stored. It is the HMAC-SHA256 (RFC 2104), under the admin token, of a random salt and the request's id,
    /// which are stored with it. So a copy of the database gives no key without the admin token of that time, and tells
    /// whether a guessed one is right: an admin token has to be random, as the one that `make deploy` makes is.
    pub fn derived(bucket: Bucket, admin_token: &str, salt: &str, request_id: &str) -> Self {
        Self::from_random(bucket, mac(admin_token, ["estop key", salt, request_id]).finalize().into_bytes().into())
    }

    /// What is stored of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }

    /// The text itself, for the one answer that holds it.
    pub fn reveal(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlainKey(…)")
    }
}

/// An HMAC-SHA256 (RFC 2104) under a key of any length.
pub fn hmac(key: &[u8]) -> Hmac<Sha256> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    // One that is longer than a block stands for its hash, and a shorter one is filled up with zeros.
    let hash = (key.len() > block.len()).then(|| Sha256::digest(key));
    for (byte, given) in block.iter_mut().zip(hash.as_deref().unwrap_or(key)) {
        *byte = *given;
    }
    Hmac::<Sha256>::new(&block)
}

/// The HMAC-SHA256 (RFC 2104) under a secret of `parts`, each with a zero byte after it.
pub fn mac<'a>(secret: &str, parts: impl IntoIterator<Item = &'a str>) -> Hmac<Sha256> {
    let mut mac = hmac(&Sha256::digest(secret.as_bytes()));
    for part in parts {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac
}

/// The credentials of an `Authorization: Bearer …` header (RFC 6750 section 2.1), or `None` if it is not one.
/// The scheme's name is case-insensitive (RFC 9110 section 11.1).
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, credentials) = header.split_once(' ')?;
    let credentials = credentials.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty()).then_some(credentials)
}

/// The hash of an API key from an `Authorization` header, or `None` if the header does not hold what could be a key.
pub fn api_key(header: &str) -> Option<KeyHash> {
    plain_key(bearer(header)?)
}

/// The hash of a text that could be a key.
pub fn plain_key(key: &str) -> Option<KeyHash> {
    let secret = key.strip_prefix(PREFIX)?;
    let plain = secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let intact = match secret.len() {
        SECRET_LEN => true,
        length if length == BUCKET_LEN + SECRET_LEN + CHECKSUM_LEN => {
            let (checked, given) = key.split_at_checked(key.len() - CHECKSUM_LEN)?;
            secret.get(..BUCKET_LEN).and_then(Bucket::parse).is_some() && checksum(checked) == given
        }
        _ => false,
    };
    (plain && intact).then(|| KeyHash::of(key))
}

/// The bucket of a key's text. What is older than buckets is in the first.
fn bucket_of(key: &str) -> Bucket {
    let secret = key.strip_prefix(PREFIX).filter(|secret| secret.len() != SECRET_LEN);
    secret.and_then(|secret| secret.get(..BUCKET_LEN)).and_then(Bucket::parse).unwrap_or(Bucket::FIRST)
}

/// CRC-32 of a text (ISO 3309, as in gzip), in base 62 with leading zeros.
fn checksum(text: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // Without its table, which would be a kilobyte and more of the upload.
    let mut crc = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC).checksum(text.as_bytes());
    let mut digits = ['0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get((crc % 62) as usize).map_or('0', |byte| char::from(*byte));
        crc /= 62;
    }
    digits.iter().collect()
}

/// Whether an `Authorization` header holds the admin token. Compares hashes in constant time, so that neither the
/// token's bytes nor its length can be measured.
pub fn is_admin(header: &str, admin_token: &str) -> bool {
    bearer(header)
        .is_some_and(|given| Sha256::digest(given.as_bytes()).ct_eq(&Sha256::digest(admin_token.as_bytes())).into())
}

/// Whether the header `X-Hub-Signature-256` is that of the body: its HMAC-SHA256 (RFC 2104) under the webhook's secret, in hex.
/// Compared in constant time.
pub fn is_signed(secret: &str, signature: &str, body: &[u8]) -> bool {
    let mut bytes = [0; 32];
    let given = signature.strip_prefix("sha256=").and_then(|hex| base16ct::lower::decode(hex, &mut bytes).ok());
    let Some(given) = given else { return false };
    let mut mac = hmac(secret.as_bytes());
    mac.update(body);
    mac.verify_slice(given).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_estop_the_database_the_secret_and_a_checksum() {
        let counted: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap_or(0));
        // python: k = "estop_00" + base64.urlsafe_b64encode(bytes(range(32)))[:43].decode(); zlib.crc32(k.encode())
        assert_eq!(
            PlainKey::from_random(Bucket::FIRST, counted).reveal(),
            "estop_00AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh84BSPYY"
        );
    }

    #[test]
    fn a_key_says_which_bucket_it_is_in() {
        let bucket = Bucket::parse("k3").expect("a bucket");
        let key = PlainKey::from_random(bucket, [7; 32]).reveal();
        assert!(key.starts_with("estop_k3"), "{key}");
        assert_eq!(plain_key(&key).map(|key| key.bucket), Some(bucket));
        // One of before, whose secret may begin like a bucket.
        assert_eq!(plain_key(&format!("estop_k3{}", "A".repeat(41))).map(|key| key.bucket), Some(Bucket::FIRST));
        // With a checksum that is right, and no bucket.
        let odd = format!("estop_K3{}", "A".repeat(43));
        assert_eq!(plain_key(&format!("{odd}{}", checksum(&odd))), None);
    }

    #[test]
    fn a_typing_error_is_no_key_and_an_old_key_still_is_one() {
        let key = PlainKey::from_random(Bucket::FIRST, [7; 32]).reveal();
        assert!(api_key(&format!("Bearer {key}")).is_some());
        for at in 6..key.len() {
            let mut typo = key.clone().into_bytes();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(typo).expect("ASCII");
            assert!(api_key(&format!("Bearer {typo}")).is_none(), "{typo}");
        }
        assert!(api_key(&format!("Bearer estop_{}", "A".repeat(43))).is_some());
    }

    #[test]
    fn a_repeated_request_makes_the_same_key_and_any_other_another() {
        let key = |token, salt, request| PlainKey::derived(Bucket::FIRST, token, salt, request).reveal();
        let one = key("admin", "salt", "key:a");
        assert_eq!(one, key("admin", "salt", "key:a"));
        for other in [key("other", "salt", "key:a"), key("admin", "tlas", "key:a"), key("admin", "salt", "key:b")] {
            assert_ne!(one, other);
        }
        assert!(api_key(&format!("Bearer {one}")).is_some());
    }

    #[test]
    fn a_new_key_is_recognised_by_its_header() {
        let key = PlainKey::from_random(Bucket::FIRST, [7; 32]);
        let hash = key.hash();
        assert_eq!(api_key(&format!("Bearer {}", key.reveal())), Some(hash));
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let hash = KeyHash::of("estop_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert_eq!(hash.as_str(), "0073673132bf1abb1d8e2c943659556a127d6d01780751338fedf9e55b30530c");
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case_and_nothing_else_may_differ() {
        let key = LOCAL_DEMO;
        for good in [format!("Bearer {key}"), format!("bearer {key}"), format!("BEARER  {key} ")] {
            assert!(api_key(&good).is_some(), "{good}");
        }
        for bad in [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            key.into(),
            format!("Basic {key}"),
            format!("Bearer{key}"),
            format!("Bearer {key}0"),
            format!("Bearer {}", &key[..key.len() - 1]),
            format!("Bearer ESTOP_{}", &key[6..]),
            format!("Bearer {}+", &key[..key.len() - 1]),
            format!("Bearer {}é", &key[..key.len() - 2]),
            format!("Bearer {key}, Bearer {key}"),
        ] {
            assert!(api_key(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_admin_token_is_compared_whole() {
        assert!(is_admin("Bearer secret", "secret"));
        for bad in ["Bearer secre", "Bearer secret2", "Bearer Secret", "secret", "Basic secret", "Bearer "] {
            assert!(!is_admin(bad, "secret"), "{bad}");
        }
    }

    #[test]
    fn debug_prints_no_secret() {
        assert_eq!(format!("{:?}", PlainKey::from_random(Bucket::FIRST, [1; 32])), "PlainKey(…)");
    }

    #[test]
    fn a_key_longer_than_a_block_stands_for_its_hash() {
        // RFC 4231, test case 6.
        let mut mac = hmac(&[0xaa; 131]);
        mac.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(
            base16ct::lower::encode_string(&mac.finalize().into_bytes()),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn the_signature_is_the_one_of_githubs_documentation() {
        // "Validating webhook deliveries", "Testing the webhook payload validation".
        let signed = |secret, signature, body| is_signed(secret, signature, body);
        let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(signed(secret, signature, body));
        assert!(!signed("another", signature, body) && !signed(secret, signature, b"Hello, World?"));
        for odd in ["", "sha256=", "sha1=757107ea", &signature[7..], &signature[..70], &format!("{signature}00")] {
            assert!(!signed(secret, odd, body), "{odd}");
        }
    }
}
