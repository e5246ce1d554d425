//! What travels between estop's Worker and its clients, as plain serde types. `openapi.yaml` is the contract; these are
//! its Rust side, and the tests hold both to each other.
//!
//! One file per operation, named like its room in `src/operations/`. Requests can be written and answers read, so that the
//! Worker, the command-line tool and the tests share them. Nothing here checks a limit: the Worker does, in the
//! operation that the request asks for.

#![warn(missing_docs)]

pub mod admin_events;
pub mod analytics;
pub mod bookmark;
pub mod bulk_cancel;
pub mod cancel;
pub mod cancels;
pub mod claim;
pub mod concurrency;
pub mod envelope;
pub mod environments;
pub mod events;
pub mod export;
pub mod failures;
pub mod finish;
pub mod github;
pub mod health;
pub mod heartbeat;
pub mod keys;
pub mod kill;
pub mod limits;
pub mod list;
pub mod people;
pub mod progress;
pub mod projects;
pub mod register;
pub mod run;
pub mod session;
pub mod show;
pub mod time;
pub mod watch;
pub mod webhooks;
pub mod whole;
