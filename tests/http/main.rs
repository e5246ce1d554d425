//! The real Worker in workerd over real HTTP. `make test` starts it and says where it is; each test makes a project of
//! its own, so they run in parallel and in any order.

#[path = "../support/access.rs"]
mod access;
mod admin;
mod auth;
mod bad_input;
mod budget;
mod bulk;
mod cancel;
mod client;
#[path = "../support/contract.rs"]
mod contract;
mod github;
mod groups;
mod lifecycle;
mod limits;
#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
mod line;
mod lists;
#[path = "../support/month.rs"]
mod month;
mod observed;
mod progress;
mod races;
#[allow(dead_code, reason = "shared with the rig, which uses all of it")]
#[path = "../support/receiver.rs"]
mod receiver;
mod refusals;
mod sessions;
mod shards;
mod sweeper;
mod webhooks;
