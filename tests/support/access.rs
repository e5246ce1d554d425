//! Cloudflare Access's stand-in (tests/rig/access.mjs): the team's certificates, and tokens with real signatures.

use serde_json::Value;

use crate::client::Server;

/// The application's AUD tag.
#[allow(dead_code, reason = "the rig's, which makes its own Worker")]
pub const AUDIENCE: &str = "the-audience-tag";

/// The stand-in at this address.
pub struct Access(pub Server);

impl Access {
    /// A token; `how` says in what it differs from a good one.
    pub fn token(&self, how: &Value) -> String {
        self.0.send("POST", "/tokens", &[], how.to_string().as_bytes()).text
    }

    /// A good token of this person's.
    pub fn token_of(&self, email: &str) -> String {
        self.token(&serde_json::json!({"claims": {"email": email}}))
    }
}

/// What comes of it when Access sends a browser on to the service.
pub fn arrive(service: &Server, token: &str, query: &str) -> crate::client::Answer {
    service.send("GET", &format!("/session/access{query}"), &[("Cf-Access-Jwt-Assertion", token)], b"")
}
