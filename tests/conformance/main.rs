//! What others' tools make of the Worker and of its OpenAPI document: `cargo test --test conformance` after `make build`.

#[allow(dead_code, reason = "the rig's, which uses all of it")]
#[path = "../rig/backend.rs"]
mod backend;
#[allow(dead_code, reason = "the rig's, which uses all of it")]
#[path = "../rig/bucket.rs"]
mod bucket;
#[allow(dead_code, reason = "shared with the HTTP tests, which use all of it")]
#[path = "../http/client.rs"]
mod client;
#[path = "../support/contract.rs"]
mod contract;
mod generated;
#[path = "../rig/http.rs"]
mod http;
mod lint;
#[allow(dead_code, reason = "shared with the benchmark, which uses all of it")]
#[path = "../rig/process.rs"]
mod process;
#[allow(dead_code, reason = "the rig's, which uses all of it")]
#[path = "../support/receiver.rs"]
mod receiver;
mod schemathesis;
mod tools;
mod webhooks;
#[allow(dead_code, reason = "the rig's, which uses all of it")]
#[path = "../rig/workerd.rs"]
mod workerd;
