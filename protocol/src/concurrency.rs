//! How many runs at once: a project's concurrency limit.

use serde::{Deserialize, Serialize};

use crate::run::words;

/// A project's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The concurrency group: what may have only one active run.
    pub scope: LimitScope,
    /// What a new run does to those before it in its group.
    pub behaviour: LimitBehaviour,
}

/// A limit to be set, as [`Concurrency`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetConcurrencyRequest {
    /// The concurrency group.
    pub scope: LimitScope,
    /// What a new run does to those before it.
    pub behaviour: LimitBehaviour,
}

words! {
    /// What may have only one active run.
    LimitScope {
        /// No limit.
        None = "none",
        /// The project.
        Project = "project",
        /// Each environment.
        Environment = "environment",
        /// Each branch in each environment.
        BranchEnvironment = "branch_environment",
    }
}

words! {
    /// What a new run does to those before it in its group. Protected runs stay in any case.
    LimitBehaviour {
        /// It takes their place: they are cancelled, and it may start once the last of their runners has stopped.
        CancelPrevious = "cancel_previous",
        /// It waits for the active one, and takes the place of one that is already waiting.
        QueueNew = "queue_new",
    }
}
