//! What the Worker sends to a webhook, verified by the reference libraries of Standard Webhooks, from npm and from PyPI.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::eventually;
use crate::receiver::{Answer, Message, Receiver};
use crate::tools::{node, node_modules, python, succeed};
use crate::workerd::Rig;

/// Verifies a message as it came, and with another body, which has to be refused; prints the event.
const NODE: &str = r#"
const { Webhook } = require("standardwebhooks");
const { secret, headers, body } = JSON.parse(process.argv[1]);
const { type } = new Webhook(secret).verify(body, headers);
try {
  new Webhook(secret).verify(body + " ", headers);
} catch {
  console.log(type);
}
"#;
const PYTHON: &str = r#"
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError

given = json.loads(sys.argv[1])
webhook = Webhook(given["secret"])
message = webhook.verify(given["body"], given["headers"])
try:
    webhook.verify(given["body"] + " ", given["headers"])
except WebhookVerificationError:
    print((message or json.loads(given["body"]))["type"])
"#;

fn verified(message: &Message, secret: &str) {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, message.header(name)));
    let headers: serde_json::Map<String, Value> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let given = json!({"secret": secret, "headers": headers, "body": message.body}).to_string();
    let event = message.event().0;
    let by = |command: &mut Command| succeed(command.arg(&given)).trim().to_owned();
    assert_eq!(by(node().args(["-e", NODE]).env("NODE_PATH", node_modules())), event);
    assert_eq!(by(python().args(["-c", PYTHON])), event);
}

#[test]
fn the_reference_libraries_verify_what_is_sent() {
    let rig = Rig::start();
    let project = rig.project();
    let receiver = Receiver::start(|_| Answer::status(204));
    let path = format!("/api/projects/{}/webhooks", project.id);
    let made = rig.server.admin("POST", &path, Some(&json!({"url": receiver.url}))).ok()["data"].take();
    let id = made["webhook"]["id"].as_i64().expect("an id");
    let secret = made["secret"].as_str().expect("a secret");
    let branch = json!({"environment": "staging", "branch": "grün/日本 <&>"});
    let registered = project.call("PUT", "/api/test-runs", Some(&branch)).ok();
    let run = registered["data"]["test_run"]["id"].as_i64().expect("an id");
    project.cancel(run).ok();
    eventually("the message", || (receiver.heard().len() == 1).then_some(()));
    verified(&receiver.heard()[0], secret);
    // While the secret is being changed, either verifies it.
    let rotated = rig.server.admin("POST", &format!("/api/webhooks/{id}/rotate"), None).ok();
    rig.server.admin("POST", &format!("/api/webhooks/{id}/test"), None).ok();
    eventually("the test", || (receiver.heard().len() == 2).then_some(()));
    for secret in [secret, rotated["data"]["secret"].as_str().expect("a secret")] {
        verified(&receiver.heard()[1], secret);
    }
}
