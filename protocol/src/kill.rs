//! `POST /api/test-runs/{id}/kill`: SIGKILL at once. Both answers are a [`crate::envelope::Message`].

use serde::{Deserialize, Serialize};

/// Nothing need be said: the run is in the path, and the key says who.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillRequest {}
