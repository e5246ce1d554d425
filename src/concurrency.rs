//! Concurrency limits: how many runs at once, and what a new one does to those before it. The schema's triggers and
//! [`crate::sql::run::REGISTER`] keep them.

use serde::{Deserialize, Serialize};

/// A project's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Concurrency {
    /// In which scope one run at once is wanted.
    pub scope: LimitScope,
    /// What a new run does to those before it in its scope.
    pub behaviour: LimitBehaviour,
}

/// In which scope one run at once is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum LimitScope {
    /// No limit.
    None,
    /// One in the project.
    Project,
    /// One in each environment.
    Environment,
    /// One in each environment and branch.
    BranchEnvironment,
}

/// What a new run does to those before it in its scope. Protected runs stay in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum LimitBehaviour {
    /// It takes their place: they are cancelled, and it may start once the last of their runners has stopped.
    CancelPrevious,
    /// It waits for the active one, in place of one that waits already.
    QueueNew,
}

crate::run::name_by_serde!(LimitScope, LimitBehaviour);
