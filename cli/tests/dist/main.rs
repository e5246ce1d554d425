//! What `make dist` makes, installed as a user does on a machine without Rust, against the real Worker at
//! `ESTOP_TEST_URL`. `ESTOP_TEST_DIST` says where the packages are: scripts/dist-tests sets it.
#![cfg(target_os = "linux")]

mod action;
#[allow(dead_code, reason = "the HTTP tests use the rest of it")]
#[path = "../../../tests/http/client.rs"]
mod client;
mod contract {
    /// The service's own tests hold its answers to openapi.yaml.
    pub fn check_http(_method: &str, _path: &str, _status: u16, _body: &str) {}
}
mod journey;
mod machine;
mod npm;
#[allow(dead_code, reason = "the service's own tests use the rest of it")]
#[path = "../../../tests/support/receiver.rs"]
mod receiver;
mod signals;
#[allow(dead_code, reason = "the other tests of the command-line tool use the rest of it")]
#[path = "../e2e/support.rs"]
mod support;
mod templates;
#[path = "../e2e/terminal.rs"]
mod terminal;
mod wheels;
