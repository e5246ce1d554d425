//! What was asked and what was said, and what that promises of the record.

use std::collections::HashSet;

use estop_protocol::time::Timestamp;
use serde_json::Value;

use crate::client::{Answer, Project, Server};
use crate::record::{Record, Run};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Register,
    Claim,
    Heartbeat,
    Finish,
    Cancel,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Answer(u16, Value),
    /// It was sent before the kill, and its answer never came.
    CutOff,
    /// It was sent while the service died, or after, and has perhaps reached nobody.
    Nothing,
}

impl Said {
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::CutOff | Self::Nothing)
    }
}

/// One request, with all that it takes to send it again.
#[derive(Debug, Clone)]
pub struct Deed {
    pub act: Act,
    /// Which of the world's projects.
    pub project: usize,
    /// The run that it is about; 0 for a registration.
    pub run: i64,
    /// Its Idempotency-Key, which nothing else has.
    pub key: String,
    pub body: Value,
    pub lease: Option<String>,
    pub said: Said,
}

impl Deed {
    /// # Errors
    /// Whatever keeps the answer from coming.
    pub fn send_to(&self, server: &Server, key: &str) -> Result<Answer, ureq::Error> {
        let (method, path) = match self.act {
            Act::Register => ("PUT", "/api/test-runs".to_owned()),
            Act::Claim => ("POST", format!("/api/test-runs/{}/claim", self.run)),
            Act::Heartbeat => ("POST", format!("/api/test-runs/{}/heartbeat", self.run)),
            Act::Finish => ("POST", format!("/api/test-runs/{}/finish", self.run)),
            Act::Cancel => ("POST", format!("/api/test-runs/{}/cancel", self.run)),
        };
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        if self.act != Act::Heartbeat {
            headers.push(("Idempotency-Key", &self.key));
        }
        server.try_send(method, &path, &headers, self.body.to_string().as_bytes())
    }

    /// # Errors
    /// Whatever keeps the answer from coming.
    pub fn send(&self, project: &Project) -> Result<Answer, ureq::Error> {
        self.send_to(&project.server, &project.key)
    }

    /// Whether it was told that it changed something.
    pub fn changed(&self) -> bool {
        matches!(self.said, Said::Answer(200, _)) && self.act != Act::Heartbeat
    }

    /// Why the record does not hold what was promised.
    fn broken(&self, record: &Record) -> Option<String> {
        let Said::Answer(status, said) = &self.said else { return None };
        let id = if self.act == Act::Register { said["data"]["test_run"]["id"].as_i64()? } else { self.run };
        let kept = record.runs.get(&id).is_some_and(|run| match (self.act, status) {
            (Act::Heartbeat, 200) => self.told_of_its_lease(said, run),
            (_, 200) => {
                self.made(run) && (self.act != Act::Claim || said["data"]["lease"]["token"] == run.lease_json())
            }
            (Act::Claim, _) => {
                let message = said["message"].as_str().unwrap_or_default();
                // What it had to wait for may have passed since.
                message.contains(" waits for ")
                    || (message.contains(" has a runner already") && run.lease.is_some() && !self.made(run))
                    || told_of_its_end(said, run)
            }
            // A runner that finishes a cancelled run is refused, and has yet confirmed its stop.
            (Act::Finish, _) => {
                told_of_its_end(said, run) && !self.made(run) && run.stop.as_deref() != Some("stopping")
            }
            _ => told_of_its_end(said, run) && !self.made(run),
        });
        (!kept).then(|| format!("{self:?} is not true of {:?}", record.runs.get(&id)))
    }

    /// Whether the run's record stems from this very request.
    pub fn made(&self, run: &Run) -> bool {
        let request = match self.act {
            Act::Register => &run.registered,
            Act::Claim => &run.claimed,
            Act::Finish => &run.finished,
            Act::Cancel => &run.cancelled,
            Act::Heartbeat => return false,
        };
        request.as_ref() == Some(&self.key)
            && (self.act != Act::Cancel || run.reason.as_deref() == self.body["reason"].as_str())
    }

    /// A lease never ends earlier than its runner was told; an order to stop stands.
    fn told_of_its_lease(&self, said: &Value, run: &Run) -> bool {
        let (data, stop) = (&said["data"], &said["data"]["stop"]);
        let until = data["lease"]["expires_at"].as_str().and_then(Timestamp::parse).map(|until| until.0);
        let stopped = stop["at"].as_str().and_then(Timestamp::parse).map(|at| at.0);
        run.lease == self.lease
            && run.lease_until >= until
            && (stop.is_null()
                || (run.over == stopped
                    && run.state == "cancelled"
                    && run.reason.as_deref() == stop["reason"].as_str()))
    }
}

/// Whether a 412 named the one end that the run has.
fn told_of_its_end(said: &Value, run: &Run) -> bool {
    let message = said["message"].as_str().unwrap_or_default();
    let over = run.over.map(|at| Timestamp(at).to_string());
    message.contains(" is over: ") && over.is_some_and(|at| message.contains(&at))
}

/// Every promise that the record does not keep, and every run that nobody asked for.
pub fn broken(deeds: &[Deed], record: &Record) -> Vec<String> {
    let asked: HashSet<&String> = deeds.iter().filter(|deed| deed.act == Act::Register).map(|deed| &deed.key).collect();
    let strays = record.runs.values().filter(|run| !run.registered.as_ref().is_some_and(|key| asked.contains(key)));
    let strays = strays.map(|run| format!("nobody registered {run:?}"));
    deeds.iter().filter_map(|deed| deed.broken(record)).chain(strays).collect()
}
