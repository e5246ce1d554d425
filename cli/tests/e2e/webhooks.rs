//! `estop webhooks`, with a receiver of the test's own.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use crate::client::{ADMIN, Project};
use crate::proxy::{Mode, Proxy, http};
use crate::receiver::{Answer, Receiver};
use crate::support::{Ended, Running, estop};

fn admin_at(url: &str, arguments: &[&str]) -> Ended {
    let mut command = estop(url, "");
    Running::of(command.env("ESTOP_ADMIN_TOKEN", ADMIN).arg("webhooks").args(arguments)).end()
}

fn admin(project: &Project, arguments: &[&str]) -> Ended {
    admin_at(&project.server.url, arguments)
}

/// A receiver whose answers have this status, until it is another.
fn receiver(status: u16) -> (Receiver, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(status));
    let shared = Arc::clone(&status);
    let answer = move |_: &_| Answer::Say(format!("{} Whatever", shared.load(Ordering::Relaxed)), "as told".to_owned());
    (Receiver::start(answer), status)
}

/// A webhook's id and secret.
fn add(project: &Project, arguments: &[&str]) -> (String, String) {
    let id = project.id.to_string();
    let added = admin(project, &[&["add", "--project", &id, "--json"], arguments].concat()).expect_code(0);
    let json: Value = serde_json::from_str(&added.stdout).expect("JSON");
    (json["data"]["webhook"]["id"].to_string(), json["data"]["secret"].as_str().expect("a secret").to_owned())
}

/// What follows the heading of a table, line by line.
fn rows(ended: &Ended) -> Vec<&str> {
    ended.stdout.lines().skip(1).collect()
}

#[test]
fn a_webhook_is_added_tested_changed_and_deleted() {
    let project = Project::new();
    let (receiver, _) = receiver(200);
    let (id, address) = (project.id.to_string(), format!("{}/hooks", receiver.url));
    let narrow = ["--event", "run.cancelled", "--environment", "staging", "--branch", "release/*"];
    let added = admin(&project, &[&["add", &address, "--project", &id], &narrow[..]].concat()).expect_code(0);
    assert_eq!(added.stdout.matches("whsec_").count(), 1, "{added:?}");
    assert!(added.stderr.contains("cannot be shown again"), "{added:?}");
    let hook = rows(&added)[0].split_whitespace().next().expect("an id");
    assert!(added.stderr.contains(&format!("estop webhooks test {hook}")), "{added:?}");

    let listed = admin(&project, &["list", "--project", &id]).expect_code(0);
    let row = rows(&listed)[0];
    for cell in [hook, "on", &address, "run.cancelled", "staging", "release/*", "standard"] {
        assert!(row.contains(cell), "{cell}: {listed:?}");
    }
    assert!(!listed.stdout.contains("whsec_") && listed.stderr.is_empty(), "{listed:?}");

    let tested = admin(&project, &["test", hook]).expect_code(0);
    assert_eq!(tested.stdout, format!("Webhook {hook} took it: it answered 200.\n"));
    assert_eq!(receiver.events(), [("test".to_owned(), 0)]);

    let changed = admin(&project, &["change", hook, "--event", "run.error", "--any-environment", "--any-branch"]);
    let changed = changed.expect_code(0);
    assert!(changed.stdout.contains("run.error") && !changed.stdout.contains("run.cancelled"), "{changed:?}");
    assert!(!changed.stdout.contains("staging") && !changed.stdout.contains("release"), "{changed:?}");

    let off = admin(&project, &["change", hook, "--off"]).expect_code(0);
    assert!(off.stdout.contains("off since 20"), "{off:?}");
    let refused = admin(&project, &["test", hook]).expect_code(122);
    let hint = format!("`estop webhooks change {hook} --on`\n");
    assert!(refused.stderr.contains("switched off") && refused.stderr.ends_with(&hint), "{refused:?}");
    admin(&project, &["change", hook, "--on"]).expect_code(0);
    admin(&project, &["test", hook]).expect_code(0);

    let deleted = admin(&project, &["delete", hook]).expect_code(0);
    assert_eq!(deleted.stdout, format!("Webhook {hook} is deleted.\n"));
    assert_eq!(rows(&admin(&project, &["list", "--project", &id]).expect_code(0)), [""; 0]);
    let gone = admin(&project, &["test", hook]).expect_code(122);
    assert!(gone.stderr.contains("no such webhook") && gone.stderr.ends_with("Check the id.\n"), "{gone:?}");
}

#[test]
fn a_test_that_does_not_get_through_fails_and_says_why() {
    let project = Project::new();
    let (receiver, status) = receiver(500);
    let (hook, _) = add(&project, &[&receiver.url]);
    let failed = admin(&project, &["test", &hook]).expect_code(1);
    let said = format!("webhook {hook} did not take it: it answered 500, with: as told. It is tried again at 20");
    assert!(failed.stderr.contains(&said) && failed.stdout.is_empty(), "{failed:?}");
    let listed = admin(&project, &["list", "--project", &project.id.to_string()]).expect_code(0);
    assert!(listed.stdout.contains("fails since 20"), "{listed:?}");
    assert!(listed.stderr.contains(&format!("estop webhooks deliveries {hook}")), "{listed:?}");

    let deliveries = admin(&project, &["deliveries", &hook]).expect_code(0);
    let cells: Vec<&str> = rows(&deliveries)[0].split_whitespace().collect();
    assert_eq!(cells[1..3], ["test", "-"], "{deliveries:?}");
    assert_eq!(cells[5..8], ["due", "500", "1"], "{deliveries:?}");
    let early = admin(&project, &["redeliver", cells[0]]).expect_code(122);
    assert!(early.stderr.contains("still to come by itself"), "{early:?}");

    // Gone for good: it is switched off, and says what to do.
    status.store(410, Ordering::Relaxed);
    let gone = admin(&project, &["test", &hook]).expect_code(1);
    assert!(gone.stderr.contains("it answered 410 (Gone), so it is switched off"), "{gone:?}");
    let listed = admin(&project, &["list", "--project", &project.id.to_string()]).expect_code(0);
    assert!(listed.stdout.contains(": it answered 410"), "{listed:?}");
    assert!(listed.stderr.contains(&format!("estop webhooks change {hook} --on")), "{listed:?}");

    // Nobody listens.
    let (nowhere, _) = add(&project, &["http://127.0.0.1:1/"]);
    let failed = admin(&project, &["test", &nowhere, "--json"]).expect_code(1);
    let json: Value = serde_json::from_str(&failed.stdout).expect("JSON");
    assert_eq!(json["data"]["delivery"]["failure"], json!("unreachable"));
    assert!(failed.stderr.is_empty(), "{failed:?}");
}

#[test]
fn what_was_given_up_is_sent_once_more_with_the_same_id() {
    let project = Project::new();
    let (receiver, status) = receiver(410);
    let (hook, _) = add(&project, &[&receiver.url]);
    admin(&project, &["test", &hook]).expect_code(1);
    status.store(204, Ordering::Relaxed);
    admin(&project, &["change", &hook, "--on"]).expect_code(0);
    let deliveries = admin(&project, &["deliveries", &hook]).expect_code(0);
    let delivery = rows(&deliveries)[0].split_whitespace().next().expect("an id");
    let again = admin(&project, &["redeliver", delivery]).expect_code(0);
    assert_eq!(again.stdout, format!("Webhook {hook} took it: it answered 204.\n"));
    let ids: Vec<_> = receiver.heard().iter().map(|message| message.header("webhook-id").to_owned()).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    let listed = admin(&project, &["deliveries", &hook, "--json"]).expect_code(0);
    let json: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(json["data"]["deliveries"][0]["redelivers"].to_string(), delivery);
    let missing = admin(&project, &["redeliver", "9007199254740991"]).expect_code(122);
    assert!(missing.stderr.contains("Check the id"), "{missing:?}");
}

#[test]
fn a_new_secret_is_shown_once_and_says_how_long_the_one_before_is_valid() {
    let project = Project::new();
    let (hook, first) = add(&project, &["https://example.com/"]);
    let rotated = admin(&project, &["rotate", &hook]).expect_code(0);
    assert!(rotated.stdout.contains("whsec_") && !rotated.stdout.contains(&first), "{rotated:?}");
    assert!(rotated.stderr.contains("The one before is valid until 20"), "{rotated:?}");
    let only = admin(&project, &["rotate", &hook, "--secret-only"]).expect_code(0);
    assert!(only.stdout.starts_with("whsec_") && only.stdout.lines().count() == 1, "{only:?}");
}

#[test]
fn an_address_can_come_by_standard_input() {
    let project = Project::new();
    let (receiver, _) = receiver(200);
    let id = project.id.to_string();
    let with_input = |input: &str| {
        let mut command = estop(&project.server.url, "");
        let arguments = ["webhooks", "add", "-", "--project", &id, "--format", "slack", "--secret-only"];
        command.env("ESTOP_ADMIN_TOKEN", ADMIN).args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("an end")
    };
    let nothing = with_input("\n");
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    assert!(with_input(&format!("{}/services/T0\n", receiver.url)).status.success());
    let listed = admin(&project, &["list", "--project", &id]).expect_code(0);
    assert!(listed.stdout.contains(&format!("{}/services/T0", receiver.url)) && listed.stdout.contains("slack"));
}

#[test]
fn what_is_refused_says_why() {
    let project = Project::new();
    let id = project.id.to_string();
    for (address, expected) in [("ftp://example.com/", "`url`"), ("https://10.0.0.1/", "private network")] {
        let refused = admin(&project, &["add", address, "--project", &id]).expect_code(122);
        assert!(refused.stderr.contains(expected) && refused.stdout.is_empty(), "{refused:?}");
    }
    let mut command = estop(&project.server.url, &project.key);
    let ended = Running::of(command.args(["webhooks", "list", "--project", &id])).end().expect_code(2);
    assert!(ended.stderr.contains("ESTOP_ADMIN_TOKEN is not set"), "{ended:?}");
    // A service that has no secret to make theirs of.
    let error = format!(r#"{{"data":null,"error":{{"message":"{}"}}}}"#, estop_protocol::envelope::NO_SUCH_ROUTE);
    let answer = http("404 Not Found", "", &error);
    let without = Proxy::before("http://127.0.0.1:1", Mode::Responds(vec![("GET /api/projects/1/webhooks ", answer)]));
    let ended = admin_at(&without.url, &["list", "--project", "1"]).expect_code(122);
    assert!(ended.stderr.contains("webhooks: or its WEBHOOK_SECRET"), "{ended:?}");
}
