//! The writing routes as the fault matrix sees them: how to come to where one can be tried, what to send, and what has
//! come of it in the database.

use estop::key::KeyHash;
use serde_json::{Value, json};

use crate::client::{ADMIN, Answer, Project, unique};
use crate::workerd::Rig;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    Register,
    Claim,
    Renew,
    Finish,
    Confirm,
    Cancel,
    /// Of two runs.
    BulkCancel,
    CreateProject,
    CreateEnvironment,
    SetConcurrency,
    CreateKey,
    RevokeKey,
}

/// One write, ready to be sent.
pub struct Attempt<'a> {
    rig: &'a Rig,
    project: &'a Project,
    write: Write,
    method: &'static str,
    path: String,
    body: Value,
    idempotency_key: Option<String>,
    /// The run or key that it is about.
    id: i64,
    /// A text that only this attempt writes.
    mark: String,
}

impl Write {
    pub fn takes_idempotency_key(self) -> bool {
        !matches!(self, Self::Renew | Self::SetConcurrency | Self::RevokeKey)
    }

    /// The answer when all is well.
    pub fn status(self) -> u16 {
        if self == Self::Confirm { 412 } else { 200 }
    }

    /// What a client that sends the same again gets once the change is made.
    pub fn status_again(self, with_key: bool) -> u16 {
        match self {
            // Each makes another.
            Self::CreateKey => 200,
            Self::Register | Self::Renew | Self::BulkCancel | Self::SetConcurrency | Self::RevokeKey => 200,
            Self::CreateProject | Self::CreateEnvironment => {
                if with_key {
                    200
                } else {
                    409
                }
            }
            Self::Claim | Self::Finish | Self::Cancel => {
                if with_key {
                    200
                } else {
                    412
                }
            }
            Self::Confirm => 412,
        }
    }

    pub fn prepare<'a>(self, rig: &'a Rig, project: &'a Project, with_key: bool) -> Attempt<'a> {
        let mark = unique();
        let run = |id: i64, verb: &str| ("POST", format!("/api/test-runs/{id}/{verb}"));
        let ((method, path), body, id) = match self {
            Self::Register => {
                (("PUT", "/api/test-runs".to_owned()), json!({"environment": "staging", "branch": mark}), 0)
            }
            Self::Claim => {
                let id = project.queued();
                (run(id, "claim"), json!({"runner": mark}), id)
            }
            Self::Renew => {
                let (id, token) = project.started();
                rig.backend.sql(&format!(
                    "UPDATE run_shards SET lease_renewed_at = 1, lease_expires_at = 2 WHERE run_id = {id}"
                ));
                (run(id, "heartbeat"), json!({"lease": token}), id)
            }
            Self::Finish | Self::Confirm => {
                let (id, token) = project.started();
                if self == Self::Confirm {
                    assert_eq!(project.cancel(id).status, 200);
                }
                let body = json!({"lease": token, "state": "ended", "result": "failed", "stop": {"outcome": "killed"}});
                (run(id, "finish"), body, id)
            }
            Self::Cancel => {
                let (id, _) = project.started();
                (run(id, "cancel"), json!({"reason": mark}), id)
            }
            Self::BulkCancel => {
                let (id, _) = project.started();
                let path = "/api/test-runs/cancel".to_owned();
                (("POST", path), json!({"ids": [id, project.queued()], "reason": mark}), id)
            }
            Self::CreateProject => (("POST", "/api/projects".to_owned()), json!({"name": mark, "slug": mark}), 0),
            Self::CreateEnvironment => {
                let path = format!("/api/projects/{}/environments", project.id);
                (("POST", path), json!({"name": mark, "slug": mark}), 0)
            }
            Self::SetConcurrency => {
                rig.backend.sql(&format!("UPDATE projects SET concurrency_scope = 'none' WHERE id = {}", project.id));
                let path = format!("/api/projects/{}/concurrency", project.id);
                (("PUT", path), json!({"scope": "branch_environment", "behaviour": "queue_new"}), 0)
            }
            Self::CreateKey => {
                let body = json!({"project_id": project.id, "user": "u", "name": mark, "scopes": ["read"]});
                (("POST", "/api/keys".to_owned()), body, 0)
            }
            Self::RevokeKey => {
                let (_, id) = project.key("u", &["read"], None);
                (("DELETE", format!("/api/keys/{id}")), Value::Null, id)
            }
        };
        let idempotency_key = with_key.then(unique);
        rig.backend.count();
        Attempt { rig, project, write: self, method, path, body, idempotency_key, id, mark }
    }
}

impl Attempt<'_> {
    pub fn send(&self) -> Answer {
        let bearer = format!("Bearer {}", if self.path.contains("test-runs") { &self.project.key } else { ADMIN });
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        headers.extend(self.idempotency_key.as_deref().map(|key| ("Idempotency-Key", key)));
        self.rig.server.send(self.method, &self.path, &headers, body.as_bytes())
    }

    /// How often the change is in the database. Half a change fails the test.
    pub fn made(&self) -> i64 {
        let (id, mark, rig) = (self.id, &self.mark, self.rig);
        let count = |what: &str| rig.backend.value::<i64>(&format!("SELECT count(*) FROM {what}"));
        let made = match self.write {
            Write::Register => count(&format!("runs WHERE branch = '{mark}' AND state = 'queued'")),
            Write::Claim => count(&format!(
                "runs r JOIN run_shards s ON s.run_id = r.id WHERE r.id = {id} AND r.state = 'started' AND s.runner = '{mark}'"
            )),
            Write::Renew => {
                let now = "(unixepoch() * 1000 + 60000)";
                count(&format!("run_shards WHERE run_id = {id} AND lease_renewed_at > 1 AND lease_expires_at > {now}"))
            }
            Write::Finish => count(&format!("runs WHERE id = {id} AND state = 'ended' AND result = 'failed'")),
            Write::Confirm => count(&format!("runs WHERE id = {id} AND stop_outcome = 'killed'")),
            Write::Cancel => {
                count(&format!("runs WHERE id = {id} AND state = 'cancelled' AND cancel_reason = '{mark}'"))
            }
            Write::BulkCancel => {
                let runs = count(&format!("runs WHERE state = 'cancelled' AND cancel_reason = '{mark}'"));
                assert!(runs == 0 || runs == 2, "{runs} of two runs are cancelled");
                runs / 2
            }
            Write::CreateProject => count(&format!("projects WHERE slug = '{mark}'")),
            Write::CreateEnvironment => count(&format!("environments WHERE slug = '{mark}'")),
            Write::SetConcurrency => {
                count(&format!("projects WHERE id = {} AND concurrency_scope = 'branch_environment'", self.project.id))
            }
            Write::CreateKey => count(&format!("keys WHERE name = '{mark}'")),
            Write::RevokeKey => count(&format!("keys WHERE id = {id} AND revoked_at IS NOT NULL")),
        };
        let runs = match self.write {
            Write::Register => format!("branch = '{mark}'"),
            _ => format!("id = {id}"),
        };
        crate::history::folds(&rig.backend.db(), &runs);
        let before = match self.write {
            Write::Claim => Some("queued"),
            Write::Finish | Write::Cancel | Write::BulkCancel | Write::Renew => Some("started"),
            Write::Confirm => Some("cancelled"),
            _ => None,
        };
        if let (0, Some(before)) = (made, before) {
            assert_eq!(rig.backend.value::<String>(&format!("SELECT state FROM runs WHERE id = {id}")), before);
        }
        made
    }

    /// Checks that an answer of success tells what the database holds.
    #[track_caller]
    pub fn is_true(&self, answer: &Answer) {
        let (id, mark, backend) = (self.id, &self.mark, &self.rig.backend);
        let json = answer.json();
        let data = &json["data"];
        match self.write {
            Write::Register => {
                let stored: i64 =
                    backend.value(&format!("SELECT id FROM runs WHERE branch = '{mark}' ORDER BY id DESC LIMIT 1"));
                assert_eq!(data["test_run"]["id"], stored);
            }
            Write::Claim => {
                let stored: String = backend.value(&format!("SELECT lease_token FROM run_shards WHERE run_id = {id}"));
                assert_eq!(data["lease"]["token"], json!(stored));
            }
            Write::Renew => assert_eq!(data["state"], "started"),
            Write::Finish => assert_eq!(data["test_run"], json!({"id": id, "state": "ended", "result": "failed"})),
            Write::Confirm => assert!(answer.message().contains("cancelled it"), "{answer:?}"),
            Write::Cancel => assert!(answer.message().contains("is cancelled: ada@example.com"), "{answer:?}"),
            Write::BulkCancel => {
                let ids: Vec<_> = data["cancelled"].as_array().into_iter().flatten().map(|run| &run["id"]).collect();
                assert_eq!(json!(ids), self.body["ids"], "{answer:?}");
            }
            Write::CreateProject => assert_eq!(data["project"]["slug"], json!(mark)),
            Write::CreateEnvironment => assert_eq!(data["environment"]["slug"], json!(mark)),
            Write::SetConcurrency => assert_eq!(data["project"]["concurrency"], self.body),
            Write::CreateKey => {
                let hash = KeyHash::of(data["token"].as_str().expect("a key"));
                let name: String = backend.value(&format!("SELECT name FROM keys WHERE hash = '{}'", hash.as_str()));
                assert_eq!(&name, mark);
            }
            Write::RevokeKey => {
                assert_eq!(data["key"]["id"], id);
                assert!(data["key"]["revoked_at"].is_string());
            }
        }
    }
}
