//! How what is sent is signed: [Standard Webhooks](https://www.standardwebhooks.com), version 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use estop_protocol::time::Timestamp;
use hmac::Mac as _;

use crate::key::{hmac, mac};

/// For how long the secret before is good once there is a new one. Milliseconds.
pub const BOTH_SECRETS: i64 = 24 * 3600 * 1000;

/// The secret of a webhook: 32 bytes that nobody can tell who has the database alone.
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret of this generation, the HMAC-SHA256 of what names it under the Worker's own secret.
    pub fn derived(webhook_secret: &str, webhook: i64, generation: i64) -> Self {
        let (webhook, generation) = (webhook.to_string(), generation.to_string());
        Self(mac(webhook_secret, ["estop webhook", &webhook, &generation]).finalize().into_bytes().into())
    }

    /// The text that the receiver is given, once.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// The signature of a message.
    fn sign(&self, message_id: &str, at: &str, body: &str) -> String {
        let mut mac = hmac(&self.0);
        for part in [message_id, ".", at, ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The headers of a message that is sent at `now`, signed with each of these secrets.
pub fn headers(secrets: &[Secret], message_id: &str, now: Timestamp, body: &str) -> [(&'static str, String); 3] {
    let at = now.0.div_euclid(1000).to_string();
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(message_id, &at, body)).collect();
    [("webhook-id", message_id.to_owned()), ("webhook-timestamp", at), ("webhook-signature", signatures.join(" "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of its reference libraries.
        let mut key = [0; 32];
        let example = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        for (byte, given) in key.iter_mut().zip(&example) {
            *byte = *given;
        }
        // Its key has 24 bytes; the zeros that fill ours up are those that HMAC fills up a key with.
        let signed = Secret(key).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_its_webhooks_and_generations_own_and_debug_prints_none() {
        let secret = |worker, webhook, generation| Secret::derived(worker, webhook, generation).reveal();
        let one = secret("worker", 1, 1);
        assert!(one.starts_with("whsec_") && one.len() == 6 + 44, "{one}");
        assert_eq!(one, secret("worker", 1, 1));
        for other in [secret("other", 1, 1), secret("worker", 2, 1), secret("worker", 1, 2), secret("worker", 11, 1)] {
            assert_ne!(one, other);
        }
        assert_eq!(format!("{:?}", Secret::derived("worker", 1, 1)), "Secret(…)");
    }
}
