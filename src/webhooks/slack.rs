//! What Slack's incoming webhooks take: one sentence, with a link to the page.

use super::told::Told;

impl Told {
    /// The sentence for an event.
    pub fn text(&self, event: &str) -> String {
        let origin = escaped(&self.origin);
        let Some(id) = self.run else { return format!("This is a test: estop at <{origin}> can write here.") };
        let environment = self.environment.as_deref().map(escaped).unwrap_or_default();
        let run = format!("<{origin}/runs/{id}|test run {id}> on {environment}{}", said(", branch ", &self.branch));
        // Its own parts need no name.
        let by = self.by.as_deref().filter(|_| self.cause.as_deref() == Some("user")).map(escaped);
        let by = by.unwrap_or_else(|| "estop".to_owned());
        match event {
            "run.cancelled" => format!("{by} stopped {run}{}.", said(": ", &self.reason)),
            "run.stopped" => {
                let how = match self.outcome.as_deref() {
                    Some("terminated") => "its tests had to be terminated",
                    Some("killed") => "its tests had to be killed",
                    Some("lost") => "its runner was not heard of again",
                    _ => "its tests ended by themselves",
                };
                format!("{run}, which {by} stopped, is off: {how}.")
            }
            "run.ended" => {
                let counts = self.failed.zip(self.total);
                let counts = counts.map(|(failed, total)| format!(": {failed} of {total} tests failed"));
                format!("{run}{}{}.", said(" ", &self.result), counts.unwrap_or_default())
            }
            "run.error" => format!("{run} broke{}.", said(": ", &self.error_code).replace('_', " ")),
            _ => format!("{run} was started{}.", said(" by ", &self.started_by)),
        }
    }
}

/// A part of a sentence, if there is something to say.
fn said(before: &str, text: &Option<String>) -> String {
    text.as_deref().map(|text| before.to_owned() + &escaped(text)).unwrap_or_default()
}

/// A text in which nothing means anything to Slack: of its three control characters, and on one line.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(event: &str, extra: &Value) -> String {
        let mut told =
            json!({"origin": "https://estop.example", "run": 42, "environment": "Staging", "branch": "main"});
        told.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        serde_json::from_value::<Told>(told).expect("what is told").text(event)
    }

    const RUN: &str = "<https://estop.example/runs/42|test run 42> on Staging, branch main";

    #[test]
    fn a_sentence_for_every_event() {
        for (event, extra, expected) in [
            ("run.started", json!({"started_by": "ci"}), format!("{RUN} was started by ci.")),
            (
                "run.cancelled",
                json!({"cause": "user", "by": "ada", "reason": "wrong branch"}),
                format!("ada stopped {RUN}: wrong branch."),
            ),
            ("run.cancelled", json!({"cause": "user", "by": "ada"}), format!("ada stopped {RUN}.")),
            (
                "run.cancelled",
                json!({"cause": "superseded", "by": "system:concurrency", "reason": "test run 43 took its place"}),
                format!("estop stopped {RUN}: test run 43 took its place."),
            ),
            (
                "run.stopped",
                json!({"cause": "user", "by": "ada", "outcome": "killed"}),
                format!("{RUN}, which ada stopped, is off: its tests had to be killed."),
            ),
            ("run.ended", json!({"result": "passed"}), format!("{RUN} passed.")),
            (
                "run.ended",
                json!({"result": "failed", "total": 412, "failed": 3}),
                format!("{RUN} failed: 3 of 412 tests failed."),
            ),
            ("run.error", json!({"error_code": "worker_interrupted"}), format!("{RUN} broke: worker interrupted.")),
        ] {
            assert_eq!(told(event, &extra), expected);
        }
    }

    #[test]
    fn nobody_writes_to_slack_what_slack_would_follow() {
        let extra = json!({
            "cause": "user", "by": "<!channel>", "reason": "a & b\n<https://evil.example|here>", "branch": "<@U1>",
        });
        assert_eq!(
            told("run.cancelled", &extra),
            "&lt;!channel&gt; stopped <https://estop.example/runs/42|test run 42> on Staging, branch &lt;@U1&gt;: a &amp; b \
             &lt;https://evil.example|here&gt;."
        );
    }

    #[test]
    fn a_test_says_that_it_is_one() {
        let told = told("test", &json!({"run": null}));
        assert_eq!(told, "This is a test: estop at <https://estop.example> can write here.");
    }
}
