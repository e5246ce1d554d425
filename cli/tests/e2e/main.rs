//! The real binary, the real Worker, real child processes. The Worker is at `ESTOP_TEST_URL` and
//! `ESTOP_TEST_SHORT_URL`, which scripts/with-servers sets.

#[allow(dead_code, reason = "the HTTP tests use the rest of it")]
#[path = "../../../tests/http/client.rs"]
mod client;
mod contract {
    /// The service's own tests hold its answers to openapi.yaml.
    pub fn check_http(_method: &str, _path: &str, _status: u16, _body: &str) {}
}
mod bulk;
mod commands;
mod concurrency;
mod dead;
mod exclusive;
mod late;
#[allow(dead_code, reason = "the HTTP tests use the rest of it")]
#[path = "../../../tests/http/line.rs"]
mod line;
mod lists;
#[cfg(target_os = "linux")]
mod npm;
mod on_stop;
mod outage;
mod playwright;
mod progress;
mod proxy;
mod push;
mod questions;
mod race;
#[allow(dead_code, reason = "the rig uses the rest of it")]
#[path = "../../../tests/support/receiver.rs"]
mod receiver;
#[allow(dead_code, reason = "the rig uses the rest of it")]
#[path = "../../../tests/support/relay.rs"]
mod relay;
mod run;
mod self_check;
mod shards;
mod stop;
mod support;
mod suspend;
#[cfg(target_os = "linux")]
mod terminal;
mod tty;
mod usage;
mod watch;
mod webhooks;
