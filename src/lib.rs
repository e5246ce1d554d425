//! **estop**: the stop button for end-to-end test runs.
//!
//! A run lives in D1, and one guarded UPDATE ([`sql::run::CANCEL`]) decides between "cancelled" and "already over".
//! Everything but `edge` is plain Rust that knows nothing of Workers and is tested natively; the arrows go one way:
//!
//! `time` `config` `host` → `key` `run` `concurrency` `sql` → `error` → `wire` → `store` → `api` `sweep` → `edge`

#![warn(missing_docs)]

pub mod api;
pub mod concurrency;
pub mod config;
pub mod error;
pub mod host;
pub mod key;
pub mod run;
pub mod sql;
pub mod store;
pub mod sweep;
pub mod time;
pub mod wire;

#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;

/// The only module that knows of Workers.
#[cfg(target_arch = "wasm32")]
mod edge;
