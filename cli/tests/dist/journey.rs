//! Everything at once, as a team meets it: a Playwright project, `npm install`, three lines of configuration, a run that
//! can be followed and is stopped, and who hears of it; and the same with pytest.

use serde_json::{Map, Value, json};

use crate::client::within;
use crate::machine::{PATIENCE, Shop, packed, path, succeeds, variable};
use crate::receiver::{Answer, Message, Receiver};
use crate::support::Running;
use crate::wheels;

const CONFIGURATION: &str = "module.exports = {
    reporter: [['list'], ['@estop/playwright']],
};
";

/// One passes, one fails, and one takes for ever.
const TESTS: &str = "const { test, expect } = require('@playwright/test');

test('the basket opens', () => {});
test('the price is right', () => expect(3).toBe(4));
test('the payment takes its time', async () => {
    test.setTimeout(600_000);
    await new Promise((resolve) => setTimeout(resolve, 300_000));
});
";

/// Verifies a message as docs/webhooks.md says, and that one byte more would be refused.
const VERIFY: &str = "const { Webhook } = require('standardwebhooks');
const { secret, headers, body } = JSON.parse(process.argv[1]);
console.log(new Webhook(secret).verify(body, headers).type);
try {
    new Webhook(secret).verify(`${body} `, headers);
} catch (error) {
    console.log(error.message);
}
";

fn verify(shop: &Shop, secret: &str, message: &Message) -> String {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, message.header(name)));
    let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let given = json!({"secret": secret, "headers": headers, "body": message.body}).to_string();
    let mut node = shop.command("node");
    succeeds(node.args(["-e", VERIFY, &given]).env("NODE_PATH", variable("DIST_NODE_MODULES")))
}

/// The run's id, once it is registered.
fn id(running: &mut Running) -> i64 {
    within(PATIENCE, "a run", || running.so_far().contains("test run ").then_some(()));
    running.id()
}

/// How far the tests are, once two of them are over.
fn progress(shop: &Shop, running: &mut Running, id: i64) -> Value {
    within(PATIENCE, "progress", || {
        assert!(running.is_running(), "{}", running.so_far());
        let progress = shop.project.show(id)["shards"][0]["progress"].take();
        (progress["done"] == 2).then_some(progress)
    })
}

#[test]
fn a_playwright_project_is_followed_and_stopped_and_a_webhook_hears_of_it() {
    let shop = Shop::new();
    let Shop { project, .. } = &shop;
    let receiver = Receiver::start(|_| Answer::status(204));
    let hook = json!({"url": receiver.url, "events": ["run.cancelled", "run.stopped"]});
    let made = project.server.admin("POST", &format!("/api/projects/{}/webhooks", project.id), Some(&hook)).ok();
    let secret = made["data"]["secret"].as_str().expect("a secret");

    shop.npm_installs(&["estop", "@estop/playwright", "@playwright/test"]);
    shop.write("playwright.config.js", CONFIGURATION);
    shop.write("checkout.spec.js", TESTS);
    let mut command = shop.npx();
    // A failure is told of at once where failures are counted. On a busy machine Playwright needs time for its report.
    command.args(["run", "--environment", "staging", "--fail-fast", "2", "--grace", "60"]);
    let mut running = Running::of(command.args(["--", "npx", "--no", "playwright", "test"]));
    let id = id(&mut running);
    let mut progress = progress(&shop, &mut running, id);
    // It is told at the failure, when the next test may not have begun.
    let current = progress.as_object_mut().and_then(|progress| progress.remove("current"));
    assert!(current.is_some_and(|title| title.is_null() || title == "the payment takes its time"));
    assert_eq!(progress, json!({"total": 3, "done": 2, "failed": 1, "flaky": 0, "skipped": 0}));
    let failures = project.get(&format!("/api/test-runs/{id}/failures")).ok()["data"]["failures"].take();
    assert_eq!(failures[0]["title"], "the price is right", "{failures}");

    assert_eq!(project.cancel(id).status, 200);
    let ended = running.end_within(PATIENCE).expect_code(120);
    assert_eq!(ended.stdout.trim_end().lines().last(), Some("stopped by ada@example.com: wrong branch"), "{ended:?}");
    let run = project.show(id);
    assert_eq!((&run["state"], &run["stop"]["outcome"]), (&json!("cancelled"), &json!("graceful")));
    let counts = &run["shards"][0]["counts"];
    assert_eq!(counts, &json!({"total": 3, "success": 1, "failed": 1, "skipped": 0, "flaky": 0}));

    within(PATIENCE, "two messages", || (receiver.heard().len() == 2).then_some(()));
    for (message, event) in receiver.heard().iter().zip(["run.cancelled", "run.stopped"]) {
        assert_eq!(message.event(), (event.to_owned(), id));
        let cancel = message.json()["data"]["cancel"].take();
        assert_eq!((&cancel["by"], &cancel["reason"]), (&json!("ada@example.com"), &json!("wrong branch")));
        assert_eq!(verify(&shop, secret, message), format!("{event}\nNo matching signature found\n"));
    }
}

const PYTHON_TESTS: &str = "import time


def test_basket():
    pass


def test_price():
    assert 3 == 4


def test_payment():
    time.sleep(300)
";

#[test]
fn a_pytest_project_is_followed_and_stopped() {
    let shop = Shop::new();
    let venv = wheels::environment(
        &shop,
        &[wheels::wheel(), packed(concat!("pytest_estop-", env!("CARGO_PKG_VERSION"), "-"), ".whl")],
    );
    shop.write("test_checkout.py", PYTHON_TESTS);
    let estop = || {
        let mut command = shop.command("estop");
        command.env("PATH", format!("{}:{}", venv.join("bin").display(), path()));
        command
    };
    let options = ["run", "--environment", "staging", "--fail-fast", "2", "--grace", "60", "--", "pytest"];
    let mut running = Running::of(estop().args(options));
    let id = id(&mut running);
    let progress = progress(&shop, &mut running, id);
    assert_eq!((&progress["total"], &progress["failed"]), (&json!(3), &json!(1)), "{progress}");
    assert_eq!(progress["current"], "test_payment");

    let cancelled = succeeds(estop().args(["cancel", &id.to_string(), "--reason", "wrong branch", "--wait"]));
    assert!(cancelled.contains("stopped"), "{cancelled}");
    let ended = running.end_within(PATIENCE).expect_code(120);
    assert!(ended.stdout.contains("stopped by ada@example.com: wrong branch"), "{ended:?}");
    assert_eq!(shop.project.show(id)["stop"]["outcome"], "graceful");
}
