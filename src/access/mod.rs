//! Cloudflare Access: what its token says of a person, and the keys that it is signed with.
//!
//! Access signs in whoever opens a path that stands behind it, and sends the request on with a token (a JWT, RFC 7519) in the
//! header `Cf-Access-Jwt-Assertion`. Anybody can send such a header to a Worker, so nothing in it counts before its signature
//! is checked; `edge` does that, because the runtime has RSA and WebAssembly would have to bring it along.

mod keyring;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use estop_protocol::limits::ADDRESS_CHARS;
use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use self::keyring::{Keyring, Lookup, PublicKey};

/// The longest token that is looked at, in bytes. Those of Access have one or two thousand.
const MOST_BYTES: usize = 8 * 1024;

/// How far Access's clock may be ahead of ours, in milliseconds.
const LEEWAY: i64 = 60_000;

/// Whom Access vouches for, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Who issues the tokens: `https://` and the team's domain.
    pub issuer: String,
    /// The application that they are for, by its AUD tag.
    pub audience: String,
}

impl Team {
    /// Where its keys are.
    pub fn certs(&self) -> String {
        format!("{}/cdn-cgi/access/certs", self.issuer)
    }
}

/// A token that is in order but for its signature, which remains to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// Who is signed in, as [`address`] has it.
    pub address: String,
    /// The key that it claims to be signed with.
    pub kid: String,
    /// What is signed.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: String,
    kid: Option<String>,
    /// What whoever does not understand it has to refuse (RFC 7515 section 4.1.11).
    #[serde(borrow)]
    crit: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Claims<'a> {
    iss: Option<String>,
    /// One text or several.
    #[serde(borrow)]
    aud: Option<&'a RawValue>,
    /// These three are in seconds.
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    /// A person's; a service token has none.
    email: Option<String>,
}

impl<'a> Token<'a> {
    /// Reads a token of this team.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator that hold nothing of it.
    pub fn read(text: &'a str, team: &Team, now: Timestamp) -> Result<Self, &'static str> {
        if text.len() > MOST_BYTES {
            return Err("it is too long");
        }
        let (signed, signature) = text.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "it is no JWT")?;
        let (header, claims) = (decoded(header)?, decoded(claims)?);
        let Header { alg, kid, crit } = json(&header)?;
        if alg != "RS256" || crit.is_some() {
            return Err("it is not signed with RS256");
        }
        let kid = kid.ok_or("it names no key")?;
        let Claims { iss, aud, exp, nbf, iat, email } = json(&claims)?;
        if iss.as_deref() != Some(&team.issuer) {
            return Err("it is of another team than ACCESS_TEAM_DOMAIN");
        }
        if !aud.is_some_and(|aud| is_for(aud.get(), &team.audience)) {
            return Err("it is for another application than ACCESS_AUD");
        }
        let after = |seconds: i64, by: i64| seconds.saturating_mul(1000) > now.0.saturating_add(by);
        if !exp.is_some_and(|exp| after(exp, 0)) {
            return Err("it has expired");
        }
        if [nbf, iat].into_iter().flatten().any(|from| after(from, LEEWAY)) {
            return Err("it is not valid yet");
        }
        let person = email.as_deref().and_then(address).filter(|address| !address.starts_with('@'));
        let address = person.ok_or("it names no person by an address")?;
        Ok(Self { address, kid, signed, signature })
    }
}

fn decoded(part: &str) -> Result<String, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok();
    // From a text, as all JSON is read here: a second reader, of bytes, would be 10 KB of the upload.
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or("it is no JWT")
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, &'static str> {
    serde_json::from_str(text).map_err(|_| "it is no JWT")
}

fn is_for(aud: &str, audience: &str) -> bool {
    fn read<T: DeserializeOwned>(aud: &str) -> Option<T> {
        serde_json::from_str(aud).ok()
    }
    match read::<String>(aud) {
        Some(one) => one == audience,
        None => read::<Vec<String>>(aud).is_some_and(|all| all.iter().any(|one| one == audience)),
    }
}

/// The address of a person, or `@` and a domain for all of its people, in lower case; `None` if the text is neither.
///
/// Only what stands in addresses without quotes (RFC 5322, `dot-atom`): the record of a stop has it, and nobody shall be
/// taken for somebody else there, or for a part of estop.
pub fn address(text: &str) -> Option<String> {
    let (person, domain) = text.split_once('@')?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&c);
    let named = |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    let is_address = text.len() <= ADDRESS_CHARS
        && person.bytes().all(plain)
        && domain.contains('.')
        && domain.split('.').all(named);
    is_address.then(|| text.to_ascii_lowercase())
}

/// The domain of an address, with its `@`.
pub fn domain(address: &str) -> &str {
    address.find('@').and_then(|at| address.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const SECONDS: i64 = NOW.0 / 1000;

    fn team() -> Team {
        Team { issuer: "https://team.example".to_owned(), audience: "the-aud".to_owned() }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://team.example", "aud": ["other", "the-aud"], "email": "Ada@Example.com", "sub": "x", "type": "app",
            "iat": SECONDS - 5, "nbf": SECONDS - 5, "exp": SECONDS + 5, "custom": {"a": [1]},
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn token(header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("signature"))
    }

    fn rs256() -> Value {
        json!({"alg": "RS256", "kid": "k", "typ": "JWT"})
    }

    fn wrong(header: &Value, claims: &Value) -> &'static str {
        Token::read(&token(header, claims), &team(), NOW).expect_err("it is not in order")
    }

    #[test]
    fn a_token_says_who_is_signed_in() {
        let text = token(&rs256(), &claims());
        let read = Token::read(&text, &team(), NOW).expect("it is in order");
        assert_eq!((read.address.as_str(), read.kid.as_str()), ("ada@example.com", "k"));
        assert_eq!(
            (read.signed, read.signature.as_slice()),
            (text.rsplit_once('.').expect("parts").0, &b"signature"[..])
        );
        assert!(Token::read(&token(&rs256(), &with("aud", json!("the-aud"))), &team(), NOW).is_ok());
    }

    #[test]
    fn only_rs256_with_a_named_key_is_taken() {
        for alg in ["none", "None", "HS256", "RS512", "rs256", "PS256", "ES256", ""] {
            assert_eq!(wrong(&json!({"alg": alg, "kid": "k"}), &claims()), "it is not signed with RS256", "{alg}");
        }
        assert_eq!(wrong(&json!({"alg": "RS256"}), &claims()), "it names no key");
        assert_eq!(
            wrong(&json!({"alg": "RS256", "kid": "k", "crit": ["b64"]}), &claims()),
            "it is not signed with RS256"
        );
        for odd in [json!({}), json!([]), json!({"alg": ["RS256"], "kid": "k"}), json!({"alg": "RS256", "kid": 1})] {
            assert_eq!(wrong(&odd, &claims()), "it is no JWT", "{odd}");
        }
    }

    #[test]
    fn a_token_of_another_team_or_for_another_application_is_none() {
        for iss in [json!("https://other.example"), json!("https://team.example/"), json!("team.example"), json!(null)]
        {
            assert_eq!(wrong(&rs256(), &with("iss", iss)), "it is of another team than ACCESS_TEAM_DOMAIN");
        }
        for aud in
            [json!("the-aud2"), json!(["the-au"]), json!([]), json!(null), json!({"the-aud": 1}), json!([["the-aud"]])]
        {
            assert_eq!(wrong(&rs256(), &with("aud", aud)), "it is for another application than ACCESS_AUD");
        }
    }

    #[test]
    fn a_token_has_its_time() {
        for exp in [json!(SECONDS), json!(SECONDS - 1), json!(null), json!(i64::MIN)] {
            assert_eq!(wrong(&rs256(), &with("exp", exp)), "it has expired");
        }
        for name in ["nbf", "iat"] {
            assert_eq!(wrong(&rs256(), &with(name, json!(SECONDS + 61))), "it is not valid yet");
            assert_eq!(wrong(&rs256(), &with(name, json!(i64::MAX))), "it is not valid yet");
            for in_time in [json!(SECONDS + 60), json!(null)] {
                assert!(Token::read(&token(&rs256(), &with(name, in_time)), &team(), NOW).is_ok(), "{name}");
            }
        }
        for odd in [json!("1"), json!(1.5), json!(1e300)] {
            assert_eq!(wrong(&rs256(), &with("exp", odd)), "it is no JWT");
        }
    }

    #[test]
    fn what_names_no_person_signs_nobody_in() {
        for email in [json!(null), json!(""), json!("@example.com"), json!("ada"), json!("a da@example.com")] {
            assert_eq!(wrong(&rs256(), &with("email", email)), "it names no person by an address");
        }
    }

    #[test]
    fn garbage_is_no_token() {
        let good = token(&rs256(), &claims());
        let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"RS256","kid":"k"}"#);
        let rest = good.split_once('.').expect("parts").1;
        for odd in [
            "",
            ".",
            "..",
            "...",
            "a.b",
            "a.b.c",
            &good[1..],
            &format!("{good}="),
            &format!("{good}.x"),
            &format!("{twice}.{rest}"),
        ] {
            assert_eq!(Token::read(odd, &team(), NOW), Err("it is no JWT"), "{odd}");
        }
        let long = token(&rs256(), &with("custom", json!("x".repeat(MOST_BYTES))));
        assert_eq!(Token::read(&long, &team(), NOW), Err("it is too long"));
    }

    #[test]
    fn an_address_is_a_persons_or_a_domain() {
        for (text, read) in [
            ("ada@example.com", "ada@example.com"),
            ("Ada.Lovelace+x@Sub.Example.COM", "ada.lovelace+x@sub.example.com"),
            ("@Example.com", "@example.com"),
            ("o'hara@xn--bcher-kva.example", "o'hara@xn--bcher-kva.example"),
        ] {
            assert_eq!(address(text).as_deref(), Some(read));
        }
        assert_eq!(
            (domain("ada@example.com"), domain("@example.com"), domain("ada")),
            ("@example.com", "@example.com", "")
        );
        for odd in [
            "",
            "ada",
            "ada@",
            "@",
            "@com",
            "ada@example",
            "ada@example..com",
            "ada@.example.com",
            "ada@example.com.",
            "ada@b@example.com",
            " ada@example.com",
            "ada@example.com\n",
            "\"ada\"@example.com",
            "system:x@example.com",
            "ad\u{e4}@example.com",
            "ada@ex\u{e4}mple.com",
            &format!("{}@example.com", "a".repeat(ADDRESS_CHARS)),
        ] {
            assert_eq!(address(odd), None, "{odd}");
        }
    }
}
