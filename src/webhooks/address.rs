//! Which addresses a webhook may have. A name that leads to a private address is not found out here, as names are looked
//! up when something is sent; from Cloudflare's network there is no way into a private one.

use std::net::{Ipv4Addr, Ipv6Addr};

use estop_protocol::limits::WEBHOOK_URL_CHARS;

use crate::runtime::{Runtime, Url};

/// Checks an address, and gives its normal form. `local` is a laptop, which may send to itself.
///
/// # Errors
/// What was expected.
pub fn check(runtime: &dyn Runtime, text: &str, local: bool) -> Result<String, &'static str> {
    if text.chars().count() > WEBHOOK_URL_CHARS || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("expected an address of at most 2000 characters, without blanks");
    }
    let Some(url) = runtime.parse_url(text) else { return Err("expected an address like https://example.com/hooks") };
    if !(url.protocol == "https:" || (local && url.protocol == "http:")) {
        return Err("expected an address that begins with https://");
    }
    if !url.username.is_empty() || !url.password.is_empty() {
        return Err("expected an address without a user's name or password: what is sent is signed instead");
    }
    if text.contains('#') {
        return Err("expected an address without #");
    }
    if url.href.chars().count() > WEBHOOK_URL_CHARS {
        return Err("expected an address of at most 2000 characters, encoded");
    }
    if is_public(&url) || (local && is_loopback(&url)) {
        return Ok(url.href);
    }
    Err("expected an address on the internet, not one of this machine or of a private network")
}

/// The host without the dot of the root, if it has one.
fn host(url: &Url) -> &str {
    url.hostname.strip_suffix('.').unwrap_or(&url.hostname)
}

fn ipv6(url: &Url) -> Option<Ipv6Addr> {
    url.hostname.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn is_loopback(url: &Url) -> bool {
    let host = host(url);
    host == "localhost"
        || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        || ipv6(url).is_some_and(|address| address.is_loopback())
}

fn is_public(url: &Url) -> bool {
    let host = host(url);
    if let Ok(address) = host.parse() {
        return is_public_ipv4(address);
    }
    if url.hostname.starts_with('[') {
        return ipv6(url).is_some_and(is_public_ipv6);
    }
    // RFC 6761, RFC 6762, RFC 8375 and ICANN's `internal`; a name of one part is one of somebody's own network.
    let private = [".localhost", ".local", ".internal", ".home.arpa"];
    host.contains('.') && !private.iter().any(|suffix| host.ends_with(suffix))
}

/// By IANA's registry of special-purpose addresses (RFC 6890).
fn is_public_ipv4(address: Ipv4Addr) -> bool {
    !match address.octets() {
        // This network, private, loopback, multicast and reserved ones.
        [0 | 10 | 127 | 224..=255, ..] => true,
        [100, b, ..] => (64..128).contains(&b),
        [169, 254, ..] | [192, 168, ..] | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [172, b, ..] => (16..32).contains(&b),
        [198, b, ..] => b == 18 || b == 19,
        _ => false,
    }
}

/// Of IPv6, what is given out to the world is `2000::/3`; of the rest, only addresses that stand for a public IPv4 address.
fn is_public_ipv6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_ipv4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // NAT64, 6to4, documentation and Teredo.
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && embedded(high, low),
        (0x2002, _) => embedded(b, c),
        (0x2001, 0 | 0xdb8) | (0x3fff, _) => false,
        (0x2000..=0x3fff, _) => true,
        // Mapped from IPv4; the older form without ffff too.
        (0, 0) => (c, d, e) == (0, 0, 0) && f == 0xffff && embedded(high, low),
        _ => false,
    }
}
