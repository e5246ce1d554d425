//! The Worker in plain workerd over a database of our own that can hurt it: `cargo test --test rig` after `make build`.

mod access;
mod archive;
mod backend;
mod bucket;
#[allow(dead_code, reason = "shared with the HTTP tests, which use all of it")]
#[path = "../http/client.rs"]
mod client;
#[path = "../support/contract.rs"]
mod contract;
mod crowd;
mod databases;
mod faults;
mod full;
mod github;
mod history;
mod http;
mod hub;
mod input;
#[path = "../http/line.rs"]
mod line;
mod orders;
#[allow(dead_code, reason = "shared with the benchmark, which uses all of it")]
mod process;
mod random;
mod raw;
#[path = "../support/receiver.rs"]
mod receiver;
#[allow(dead_code, reason = "shared with the tests of the command-line tool, which use all of it")]
#[path = "../support/relay.rs"]
mod relay;
mod replicas;
mod restart;
mod restore;
mod shards;
mod shots;
mod size;
mod soak;
mod tampered;
#[path = "../support/access.rs"]
mod team;
mod ticks;
mod trips;
mod verdict;
mod watcher;
mod webhooks;
mod workerd;
mod writes;
