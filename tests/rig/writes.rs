//! The writing routes as the fault matrix sees them: how to come to where one can be tried, what to send, and what has
//! come of it in the database.

use estop::key::KeyHash;
use serde_json::{Value, json};

use std::cell::Cell;

use crate::client::{ADMIN, Answer, Project, eventually, unique};
use crate::history;
use crate::receiver::{self, Receiver};
use crate::shards;
use crate::workerd::Rig;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    Register,
    /// The first registration of a group.
    RegisterGroup,
    /// A registration that joins the run of its group.
    Join,
    Claim,
    /// The second of a started run.
    ClaimShard,
    Renew,
    Finish,
    /// One of two: the run goes on.
    FinishShard,
    Confirm,
    /// Of a runner that was taken for lost.
    KeepLate,
    Cancel,
    /// Of two runs.
    BulkCancel,
    Kill,
    CreateProject,
    CreateEnvironment,
    SetConcurrency,
    ChangeProject,
    ChangeEnvironment,
    CreateKey,
    RevokeKey,
    /// Of somebody who was let in before.
    AdmitPerson,
    CreateWebhook,
    ChangeWebhook,
    RotateWebhook,
    DeleteWebhook,
    TestWebhook,
    /// Of a test that was delivered.
    Redeliver,
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
    /// Who is to hear of it.
    receiver: Option<Receiver>,
    /// How often the change was in the database when it was last sent.
    made_before: Cell<i64>,
}

impl Write {
    pub fn takes_idempotency_key(self) -> bool {
        !matches!(
            self,
            Self::Renew
                | Self::SetConcurrency
                | Self::ChangeProject
                | Self::ChangeEnvironment
                | Self::RevokeKey
                | Self::ChangeWebhook
                | Self::DeleteWebhook
        )
    }

    /// The answer when all is well.
    pub fn status(self) -> u16 {
        match self {
            Self::Confirm | Self::KeepLate => 412,
            Self::DeleteWebhook => 204,
            _ => 200,
        }
    }

    /// How often the change is in the database once it is made. A run is joined without a change.
    pub fn times(self) -> i64 {
        i64::from(self != Self::Join)
    }

    /// What a client that sends the same again gets once the change is made.
    pub fn status_again(self, with_key: bool) -> u16 {
        match self {
            // Each makes another.
            Self::CreateKey | Self::AdmitPerson | Self::CreateWebhook | Self::RotateWebhook => 200,
            Self::TestWebhook | Self::Redeliver => 200,
            Self::ChangeWebhook => 200,
            Self::DeleteWebhook => 204,
            Self::Register | Self::RegisterGroup | Self::Join | Self::Renew | Self::BulkCancel | Self::Kill => 200,
            Self::SetConcurrency | Self::ChangeProject | Self::ChangeEnvironment | Self::RevokeKey => 200,
            Self::CreateProject | Self::CreateEnvironment => {
                if with_key {
                    200
                } else {
                    409
                }
            }
            Self::Claim | Self::ClaimShard | Self::Finish | Self::FinishShard | Self::Cancel => {
                if with_key {
                    200
                } else {
                    412
                }
            }
            Self::Confirm | Self::KeepLate => 412,
        }
    }

    pub fn prepare<'a>(self, rig: &'a Rig, project: &'a Project, with_key: bool) -> Attempt<'a> {
        let mark = unique();
        let mut receiver = None;
        let run = |id: i64, verb: &str| ("POST", format!("/api/test-runs/{id}/{verb}"));
        let ((method, path), body, id) = match self {
            Self::Register => {
                (("PUT", "/api/test-runs".to_owned()), json!({"environment": "staging", "branch": mark}), 0)
            }
            Self::RegisterGroup => (("PUT", "/api/test-runs".to_owned()), shards::group(&mark, 1), 0),
            Self::Join => {
                let id = shards::register(project, &shards::group(&mark, 1));
                (("PUT", "/api/test-runs".to_owned()), shards::group(&mark, 2), id)
            }
            Self::Claim => {
                let id = project.queued();
                (run(id, "claim"), json!({"runner": mark}), id)
            }
            Self::ClaimShard => {
                let id = shards::of_two(project);
                shards::claim(project, id, 1);
                (run(id, "claim"), json!({"runner": mark, "shard": 2}), id)
            }
            Self::Renew => {
                let (id, token) = project.started();
                rig.backend
                    .sql(&format!("UPDATE run_shards SET lease_expires_at = lease_renewed_at WHERE run_id = {id}"));
                (run(id, "heartbeat"), json!({"lease": token}), id)
            }
            Self::FinishShard => {
                let id = shards::of_two(project);
                let [token, _] = [1, 2].map(|shard| shards::claim(project, id, shard));
                let counts = json!({"total": 3, "success": 1, "failed": 2, "skipped": 0, "flaky": 0});
                (run(id, "finish"), json!({"lease": token, "state": "ended", "result": "failed", "counts": counts}), id)
            }
            Self::Finish | Self::Confirm | Self::KeepLate => {
                let (id, token) = project.started();
                match self {
                    Self::Confirm => assert_eq!(project.cancel(id).status, 200),
                    Self::KeepLate => rig.tick(rig.lapsed_at(id)),
                    _ => {}
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
            Self::Kill => {
                let (id, _) = project.started();
                assert_eq!(project.cancel(id).status, 200);
                (run(id, "kill"), json!({}), id)
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
            Self::ChangeProject => {
                (("PATCH", format!("/api/projects/{}", project.id)), json!({"name": mark, "badges": true}), 0)
            }
            Self::ChangeEnvironment => {
                (("PATCH", format!("/api/environments/{}", project.production)), json!({"name": mark}), 0)
            }
            Self::CreateKey => {
                let body = json!({"project_id": project.id, "user": "u", "name": mark, "scopes": ["read"]});
                (("POST", "/api/keys".to_owned()), body, 0)
            }
            Self::AdmitPerson => {
                let person = |scopes: Value| json!({"project_id": project.id, "address": format!("{mark}@example.com"), "scopes": scopes});
                rig.server.admin("POST", "/api/people", Some(&person(json!(["read"])))).ok();
                (("POST", "/api/people".to_owned()), person(json!(["read", "cancel"])), 0)
            }
            Self::RevokeKey => {
                let (_, id) = project.key("u", &["read"], None);
                (("DELETE", format!("/api/keys/{id}")), Value::Null, id)
            }
            Self::CreateWebhook => {
                // Ten are as many as a project may have.
                rig.backend.sql("UPDATE webhooks SET deleted_at = 1");
                let url = format!("https://example.com/{mark}");
                (("POST", format!("/api/projects/{}/webhooks", project.id)), json!({"url": url}), 0)
            }
            Self::ChangeWebhook | Self::RotateWebhook | Self::DeleteWebhook => {
                rig.backend.sql("UPDATE webhooks SET deleted_at = 1");
                let path = format!("/api/projects/{}/webhooks", project.id);
                let made = project.server.admin("POST", &path, Some(&json!({"url": "https://example.com/"}))).ok();
                let id = made["data"]["webhook"]["id"].as_i64().expect("an id");
                match self {
                    Self::ChangeWebhook => {
                        let body = json!({"url": format!("https://example.com/{mark}"), "disabled": true});
                        (("PATCH", format!("/api/webhooks/{id}")), body, id)
                    }
                    Self::RotateWebhook => (("POST", format!("/api/webhooks/{id}/rotate")), json!({}), id),
                    _ => (("DELETE", format!("/api/webhooks/{id}")), Value::Null, id),
                }
            }
            Self::TestWebhook | Self::Redeliver => {
                // What goes out after the answer is not the request's: whatever ails that one, this goes well.
                rig.backend.spare("UPDATE deliveries");
                rig.backend.sql("UPDATE webhooks SET deleted_at = 1");
                let hears = &*receiver.insert(Receiver::start(|_| receiver::Answer::status(204)));
                let path = format!("/api/projects/{}/webhooks", project.id);
                let made = rig.server.admin("POST", &path, Some(&json!({"url": hears.url}))).ok();
                let hook = made["data"]["webhook"]["id"].as_i64().expect("an id");
                let test = format!("/api/webhooks/{hook}/test");
                if self == Self::TestWebhook {
                    (("POST", test), json!({}), hook)
                } else {
                    let tested = rig.server.admin("POST", &test, None).ok();
                    let id = tested["data"]["delivery"]["id"].as_i64().expect("an id");
                    let state =
                        || rig.backend.value::<String>(&format!("SELECT state FROM deliveries WHERE id = {id}"));
                    eventually("a delivery", || (state() == "delivered").then_some(()));
                    (("POST", format!("/api/deliveries/{id}/redeliver")), json!({}), id)
                }
            }
        };
        let idempotency_key = with_key.then(unique);
        rig.backend.count();
        let made_before = Cell::new(0);
        Attempt { rig, project, write: self, method, path, body, idempotency_key, id, mark, receiver, made_before }
    }
}

impl Attempt<'_> {
    pub fn send(&self) -> Answer {
        self.made_before.set(self.made());
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
            Write::RegisterGroup => count(&format!("runs WHERE run_group = '{mark}'")),
            // Anything but none would be a second run of the group.
            Write::Join => count(&format!("runs WHERE run_group = '{mark}'")) - 1,
            Write::Claim | Write::ClaimShard => count(&format!(
                "runs r JOIN run_shards s ON s.run_id = r.id WHERE r.id = {id} AND r.state = 'started' AND s.runner = '{mark}'"
            )),
            Write::Renew => {
                let now = "(unixepoch() * 1000 + 60000)";
                count(&format!("run_shards WHERE run_id = {id} AND lease_expires_at > {now}"))
            }
            Write::Finish => count(&format!("runs WHERE id = {id} AND state = 'ended' AND result = 'failed'")),
            Write::FinishShard => {
                count(&format!("run_shards WHERE run_id = {id} AND result = 'failed' AND failed = 2"))
            }
            Write::Confirm => count(&format!("runs WHERE id = {id} AND stop_outcome = 'killed'")),
            Write::KeepLate => {
                count(&format!("run_shards WHERE run_id = {id} AND late_result ->> 'result' = 'failed'"))
            }
            Write::Cancel => {
                count(&format!("runs WHERE id = {id} AND state = 'cancelled' AND cancel_reason = '{mark}'"))
            }
            Write::BulkCancel => {
                let runs = count(&format!("runs WHERE state = 'cancelled' AND cancel_reason = '{mark}'"));
                assert!(runs == 0 || runs == 2, "{runs} of two runs are cancelled");
                runs / 2
            }
            Write::Kill => count(&format!("runs WHERE id = {id} AND kill_by = 'ada@example.com'")),
            Write::CreateProject => count(&format!("projects WHERE slug = '{mark}'")),
            Write::CreateEnvironment => count(&format!("environments WHERE slug = '{mark}'")),
            Write::SetConcurrency => {
                count(&format!("projects WHERE id = {} AND concurrency_scope = 'branch_environment'", self.project.id))
            }
            Write::ChangeProject => count(&format!("projects WHERE name = '{mark}' AND badges = 1")),
            Write::ChangeEnvironment => count(&format!("environments WHERE name = '{mark}'")),
            Write::CreateKey => count(&format!("keys WHERE name = '{mark}'")),
            Write::AdmitPerson => {
                let of_hers = |what: &str| count(&format!("keys WHERE access = '{mark}@example.com' AND {what}"));
                assert_eq!(of_hers("revoked_at IS NULL"), 1, "she is in by one key at any time");
                of_hers("can_cancel = 1")
            }
            Write::RevokeKey => count(&format!("keys WHERE id = {id} AND revoked_at IS NOT NULL")),
            Write::CreateWebhook => count(&format!("webhooks WHERE url = 'https://example.com/{mark}'")),
            Write::ChangeWebhook => count(&format!(
                "webhooks WHERE id = {id} AND url = 'https://example.com/{mark}' AND disabled_why = 'admin'"
            )),
            Write::RotateWebhook => rig.backend.value(&format!("SELECT generation - 1 FROM webhooks WHERE id = {id}")),
            Write::DeleteWebhook => count(&format!("webhooks WHERE id = {id} AND deleted_at IS NOT NULL AND url = ''")),
            Write::TestWebhook => count(&format!("deliveries WHERE webhook_id = {id} AND event = 'test'")),
            Write::Redeliver => count(&format!("deliveries WHERE redelivers = {id}")),
        };
        history::folds(&rig.backend.db(), "true");
        assert_eq!(history::contradictions(&rig.backend.db()), [""; 0]);
        // A run whose shard takes part is as far as it was, be the change made or not.
        let state = match (self.write, made) {
            (Write::Claim, 0) | (Write::Join, _) => Some("queued"),
            (Write::Finish | Write::Cancel | Write::BulkCancel, 0) => Some("started"),
            (Write::Renew | Write::ClaimShard | Write::FinishShard, _) => Some("started"),
            (Write::Confirm | Write::KeepLate | Write::Kill, _) => Some("cancelled"),
            _ => None,
        };
        if let Some(state) = state {
            assert_eq!(rig.backend.value::<String>(&format!("SELECT state FROM runs WHERE id = {id}")), state);
        }
        made
    }

    /// Checks that an answer of success tells what the database holds.
    #[track_caller]
    pub fn is_true(&self, answer: &Answer) {
        let (id, mark, backend) = (self.id, &self.mark, &self.rig.backend);
        let json = if answer.status == 204 { Value::Null } else { answer.json() };
        let data = &json["data"];
        match self.write {
            Write::CreateWebhook | Write::RotateWebhook => {
                let stored = if self.write == Write::CreateWebhook {
                    format!("url = 'https://example.com/{mark}' ORDER BY id DESC LIMIT 1")
                } else {
                    format!("id = {id}")
                };
                let (hook, generation): (i64, i64) = ["id", "generation"]
                    .map(|column| backend.value(&format!("SELECT {column} FROM webhooks WHERE {stored}")))
                    .into();
                let secret = estop::webhooks::signature::Secret::derived("local-webhooks", hook, generation);
                assert_eq!((&data["webhook"]["id"], &data["secret"]), (&json!(hook), &json!(secret.reveal())));
            }
            Write::ChangeWebhook => assert_eq!(data["webhook"]["disabled_why"], "admin"),
            Write::DeleteWebhook => assert_eq!(answer.text, ""),
            Write::TestWebhook | Write::Redeliver => {
                let column = if self.write == Write::TestWebhook { "webhook_id" } else { "redelivers" };
                let stored: i64 = backend.value(&format!("SELECT max(id) FROM deliveries WHERE {column} = {id}"));
                assert_eq!(data["delivery"]["id"], stored);
                let heard = || self.receiver.as_ref().expect("a receiver").heard();
                let hook = &data["delivery"]["webhook_id"];
                let written: usize =
                    backend.value(&format!("SELECT count(*) FROM deliveries WHERE webhook_id = {hook}"));
                eventually("the receiver has heard each", || (heard().len() == written).then_some(()));
                assert!(heard().iter().any(|message| message.header("webhook-id") == data["delivery"]["message_id"]));
            }
            Write::Register => {
                let stored: i64 =
                    backend.value(&format!("SELECT id FROM runs WHERE branch = '{mark}' ORDER BY id DESC LIMIT 1"));
                assert_eq!(data["test_run"]["id"], stored);
            }
            Write::RegisterGroup => {
                let stored: i64 = backend.value(&format!("SELECT id FROM runs WHERE run_group = '{mark}'"));
                assert_eq!(data["test_run"]["id"], stored);
                // Only a later request joins: one that was answered late made the run itself.
                let joins = self.idempotency_key.is_none() && self.made_before.get() == 1;
                assert_eq!(data["joined"], joins, "{answer:?}");
            }
            Write::Join => assert_eq!((&data["test_run"]["id"], &data["joined"]), (&json!(id), &json!(true))),
            Write::Claim | Write::ClaimShard => {
                let stored: String = backend
                    .value(&format!("SELECT lease_token FROM run_shards WHERE run_id = {id} AND runner = '{mark}'"));
                assert_eq!(data["lease"]["token"], json!(stored));
                let shard = self.body["shard"].as_i64().unwrap_or(1);
                assert_eq!(data["test_run"], json!({"id": id, "state": "started", "shard": shard}));
            }
            Write::Renew => assert_eq!(data["state"], "started"),
            Write::Finish => assert_eq!(data["test_run"], json!({"id": id, "state": "ended", "result": "failed"})),
            Write::FinishShard => {
                assert_eq!(data["test_run"], json!({"id": id, "state": "started", "result": null}));
                assert_eq!(data["shard"], json!({"shard": 1, "state": "ended", "result": "failed"}));
            }
            Write::Confirm | Write::KeepLate => {
                assert!(answer.message().contains("cancelled it"), "{answer:?}");
                assert_eq!(json["late_result_kept"], self.write == Write::KeepLate, "{answer:?}");
            }
            Write::Cancel => assert!(answer.message().contains("is cancelled: ada@example.com"), "{answer:?}"),
            Write::BulkCancel => {
                let ids: Vec<_> = data["cancelled"].as_array().into_iter().flatten().map(|run| &run["id"]).collect();
                assert_eq!(json!(ids), self.body["ids"], "{answer:?}");
            }
            Write::Kill => assert!(answer.message().contains("is being killed: ada@example.com"), "{answer:?}"),
            Write::CreateProject => assert_eq!(data["project"]["slug"], json!(mark)),
            Write::CreateEnvironment => assert_eq!(data["environment"]["slug"], json!(mark)),
            Write::SetConcurrency => assert_eq!(data["project"]["concurrency"], self.body),
            Write::ChangeProject => {
                assert_eq!((&data["project"]["name"], &data["project"]["badges"]), (&json!(mark), &json!(true)))
            }
            Write::ChangeEnvironment => assert_eq!(data["environment"]["name"], json!(mark)),
            Write::CreateKey => {
                let hash = KeyHash::of(data["token"].as_str().expect("a key"));
                let name: String = backend.value(&format!("SELECT name FROM keys WHERE hash = '{}'", hash.as_str()));
                assert_eq!(&name, mark);
            }
            Write::AdmitPerson => {
                let stored: i64 = backend.value(&format!(
                    "SELECT id FROM keys WHERE access = '{mark}@example.com' AND can_cancel = 1 AND revoked_at IS NULL"
                ));
                assert_eq!(
                    (&data["key"]["id"], &data["key"]["user"]),
                    (&json!(stored), &json!(format!("{mark}@example.com")))
                );
            }
            Write::RevokeKey => {
                assert_eq!(data["key"]["id"], id);
                assert!(data["key"]["revoked_at"].is_string());
            }
        }
    }
}
