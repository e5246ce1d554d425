//! Webhooks over HTTP, as `make dev` serves them.

use serde_json::{Value, json};

use crate::client::{Project, eventually};
use crate::receiver::{Answer, Receiver};

impl Project {
    /// A webhook for an address of this machine.
    pub fn webhook(&self, url: &str) -> i64 {
        let path = format!("/api/projects/{}/webhooks", self.id);
        let made = self.server.admin("POST", &path, Some(&json!({"url": url, "events": ["run.cancelled"]}))).ok();
        made["data"]["webhook"]["id"].as_i64().expect("an id")
    }

    /// A delivery of it that went well.
    pub fn delivered(&self, webhook: i64) -> i64 {
        let tested = self.server.admin("POST", &format!("/api/webhooks/{webhook}/test"), None).ok();
        let id = tested["data"]["delivery"]["id"].clone();
        eventually("a delivery", || {
            let listed = self.server.admin("GET", &format!("/api/webhooks/{webhook}/deliveries"), None).ok();
            let all = listed["data"]["deliveries"].as_array().expect("deliveries").clone();
            all.iter().any(|one: &Value| one["id"] == id && one["state"] == "delivered").then_some(())
        });
        id.as_i64().expect("an id")
    }
}

#[test]
fn a_test_arrives_and_so_does_a_cancel_and_each_is_listed() {
    let project = Project::new();
    let receiver = Receiver::start(|_| Answer::Say("200 OK".to_owned(), "thank you".to_owned()));
    let hook = project.webhook(&format!("{}/", receiver.url));
    let test = project.delivered(hook);
    let again = project.server.admin("POST", &format!("/api/deliveries/{test}/redeliver"), None).ok();
    assert_eq!(again["data"]["delivery"]["redelivers"], test);
    let run = project.queued();
    project.cancel(run).ok();
    eventually("three messages", || (receiver.heard().len() == 3).then_some(()));
    let heard = receiver.heard();
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    assert_eq!(heard[2].event(), ("run.cancelled".to_owned(), run));
    let cancelled = eventually("the record", || {
        let listed = project.server.admin("GET", &format!("/api/webhooks/{hook}/deliveries"), None).ok();
        let newest = listed["data"]["deliveries"][0].clone();
        (newest["state"] == "delivered").then_some(newest)
    });
    assert_eq!((&cancelled["test_run"], &cancelled["answer"]), (&json!(run), &json!("thank you")));
    let path = format!("/api/webhooks/{hook}");
    assert_eq!(project.server.admin("DELETE", &path, None).status, 204);
    project.server.admin("GET", &path, None).is_error(404);
}
