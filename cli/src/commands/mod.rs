//! What people do with runs from outside: cancel, list, show, wait.

pub mod cancel;
pub mod keys;
pub mod list;
pub mod show;
pub mod wait;

use std::time::Duration;

/// How long a question is asked again while the service is away.
const PATIENCE: Duration = Duration::from_secs(15);
