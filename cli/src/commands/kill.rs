//! `estop kill`.

use serde_json::json;

use super::RETRY_FOR;
use crate::args::KillArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};

pub fn kill(args: &KillArgs, service: &Service) -> Result<Exit, Failure> {
    let call = Call::new("POST", format!("/api/test-runs/{}/kill", args.id)).with_body(&json!({})).idempotent();
    super::print_decision(args.json, &retry::send(service, &call, RETRY_FOR)?)
}
