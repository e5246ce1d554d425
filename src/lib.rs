//! **estop**: the stop button for end-to-end test runs.
//!
//! A run lives in D1, and one guarded UPDATE (`operations/cancel/cancel.sql`) decides between "cancelled" and "already
//! over". Everything but `edge` is plain Rust that knows nothing of Workers and is tested natively; the arrows go one way:
//!
//! | layer | what |
//! |---|---|
//! | `estop_protocol` | what travels: requests, answers, states, limits |
//! | [`run`], [`key`], [`access`] | the rules, pure |
//! | [`config`], [`session`] | what an operator can set; the cookie that stands for a key |
//! | [`runtime`], [`database`], [`recent`] | what an operation needs of its surroundings; retries, the schema's version; who was refused or let in lately |
//! | [`hub`], [`webhooks`] | what the hub tells whom; what goes out to whom, signed, and when it is tried again |
//! | [`http`] | the corridor: request, reply, errors, checks |
//! | [`archive`], [`moving`] | old runs move to a bucket, and are read there; a bucket of projects moves to another database |
//! | [`operations`], [`sweeper`] | the rooms, and **the table** of all operations |
//! | `edge` | the only place that knows of Workers |

pub mod access;
pub mod archive;
pub mod buckets;
pub mod config;
pub mod database;
pub mod http;
pub mod hub;
pub mod key;
pub mod last_use;
pub mod lease;
pub mod moving;
pub mod operations;
pub mod recent;
pub mod run;
pub mod runtime;
pub mod session;
pub mod sweeper;
pub mod webhooks;

/// The only module that knows of Workers.
#[cfg(target_arch = "wasm32")]
mod edge;
