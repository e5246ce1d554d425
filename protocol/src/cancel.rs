//! `POST /api/test-runs/{id}/cancel`, the contract. Both answers are a [`crate::envelope::Message`].

use serde::{Deserialize, Deserializer, Serialize};

/// Why a run is cancelled.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Kept for the audit trail. At most [`crate::limits::REASON_CHARS`] characters, no control characters other than
    /// tab and newline; white space alone is no reason. The contract has a string here, so `null` is refused.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `Some`, but unlike serde's own `Option` not for `null`.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}
