//! GitHub's webhook, as GitHub calls it.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Answer, Project, unique};

/// As scripts/dev sets it.
const SECRET: &str = "local-github";

impl Project {
    /// Tells of a pull request that was merged, as GitHub does.
    pub fn merged(&self, branch: &str, repository: &str) -> Answer {
        let side = |branch: &str| json!({"ref": branch, "repo": {"full_name": repository}});
        let event = json!({
            "action": "closed", "number": 12, "sender": {"login": "ada"}, "repository": {"full_name": repository},
            "pull_request": {"merged": true, "body": "é".repeat(60_000), "head": side(branch), "base": side("main")},
        });
        let body = event.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", base16ct::lower::encode_string(&mac.finalize().into_bytes()));
        self.deliver(&unique(), &signature, &body)
    }

    fn deliver(&self, delivery: &str, signature: &str, body: &str) -> Answer {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", "pull_request"),
            ("X-GitHub-Delivery", delivery),
            ("X-Hub-Signature-256", signature),
        ];
        self.server.send("POST", "/api/github/webhook", &headers, body.as_bytes())
    }
}

#[test]
fn a_merged_pull_request_stops_its_branch_and_the_runner_hears_of_it() {
    let project = Project::new();
    let repository = format!("acme/{}", unique());
    let wanted = json!({"repo_name": repository, "stop_on_close": true});
    project.server.admin("PATCH", &format!("/api/projects/{}", project.id), Some(&wanted)).ok();
    let body = json!({"environment": "staging", "build": {"branch": "feat/pay"}});
    let run =
        project.call("PUT", "/api/test-runs", Some(&body)).ok()["data"]["test_run"]["id"].as_i64().expect("an id");
    let claimed = project.post(&format!("/api/test-runs/{run}/claim"), &json!({})).ok();
    let token = claimed["data"]["lease"]["token"].as_str().expect("a token").to_owned();
    // The body is longer than any other route takes.
    let heard = project.merged("feat/pay", &repository.to_uppercase()).ok();
    assert_eq!(heard["data"]["stopped"], json!([run]));
    let stop = &project.heartbeat(run, &token).ok()["data"]["stop"];
    let said: Vec<&Value> = ["by", "reason", "cause"].map(|name| &stop[name]).into();
    assert_eq!(said, ["github:ada", "pull request #12 was merged", "user"]);
    project.deliver(&unique(), &format!("sha256={}", "0".repeat(64)), "{}").is_error(401);
}
