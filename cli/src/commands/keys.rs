//! `estop keys`, `projects` and `environments`: set-up with the admin token.

use std::time::Duration;

use estop::wire::admin::{Key, KeyList, NewKey, OneEnvironment, OneKey, OneProject};
use estop::wire::answers::Data;
use serde_json::{Map, Value, json};

use crate::args::{EnvironmentsCommand, KeysCommand, ProjectsCommand, ScopeName};
use crate::exit::Exit;
use crate::retry;
use crate::service::{Answer, Call, Failure, Service};
use crate::table;
use crate::terminal::{self, plain, plain_json};

/// Makes, lists and revokes keys.
///
/// # Errors
/// What the service refused, or that it could not be reached.
pub fn keys(command: &KeysCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        KeysCommand::Create { project, user, name, scopes, expires_at, token_only, json } => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.wire()).collect();
            let mut body = json!({"project_id": project, "user": user, "name": name, "scopes": scopes});
            if let (Some(fields), Some(at)) = (body.as_object_mut(), expires_at) {
                fields.insert("expires_at".to_owned(), json!(at));
            }
            let answer = service.send(&Call::new("POST", "/api/keys").with_body(body))?;
            let made = answer.read::<Data<NewKey>>()?.data;
            if *json {
                terminal::print(plain_json(&answer.text));
            } else if *token_only {
                terminal::print(plain(&made.token));
            } else {
                show_keys(&[made.key]);
                terminal::print(format!("\n{}", plain(&made.token)));
                terminal::say("this is the key; it is shown this once. Keep it where secrets are kept");
            }
        }
        KeysCommand::List { project, before, json } => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in [("project_id", project), ("before", before)] {
                if let Some(value) = value {
                    query.append_pair(name, &value.to_string());
                }
            }
            let call = Call::new("GET", format!("/api/keys?{}", query.finish()));
            let answer = retry::send_patiently(service, &call, Duration::from_secs(10))?;
            let list: KeyList = answer.read()?;
            if *json {
                terminal::print(plain_json(&answer.text));
            } else {
                show_keys(&list.data.keys);
                if let Some(before) = list.pagination.next_before {
                    terminal::say(format!("older ones: estop keys list --before {before}"));
                }
            }
        }
        KeysCommand::Revoke { id, json } => {
            let call = Call::new("DELETE", format!("/api/keys/{id}"));
            let answer = retry::send_patiently(service, &call, Duration::from_secs(10))?;
            let key = answer.read::<Data<OneKey>>()?.data.key;
            tell(*json, &answer, || format!("Key {} ({}, {}) is revoked.", key.id, plain(&key.user), plain(&key.name)));
        }
    }
    Ok(Exit::Done)
}

/// Makes projects and sets their limits.
///
/// # Errors
/// What the service refused, or that it could not be reached.
pub fn projects(command: &ProjectsCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        ProjectsCommand::Create { name, slug, repo, json } => {
            let mut body = Map::from_iter([("name".to_owned(), json!(name)), ("slug".to_owned(), json!(slug))]);
            if let Some(repo) = repo {
                body.insert("repo_name".to_owned(), json!(repo));
            }
            let answer = service.send(&Call::new("POST", "/api/projects").with_body(Value::Object(body)))?;
            let made = answer.read::<Data<OneProject>>()?.data.project;
            tell(*json, &answer, || format!("Project {} ({}) is made.", made.id, plain(&made.slug)));
        }
        ProjectsCommand::Limit { id, scope, behaviour, json } => {
            let call = Call::new("PUT", format!("/api/projects/{id}/concurrency"));
            let answer = service.send(&call.with_body(json!({"scope": scope, "behaviour": behaviour})))?;
            let slug = answer.read::<Data<OneProject>>()?.data.project.slug;
            tell(*json, &answer, || format!("Project {id} ({}): scope {scope}, behaviour {behaviour}.", plain(&slug)));
        }
    }
    Ok(Exit::Done)
}

/// Makes environments.
///
/// # Errors
/// What the service refused, or that it could not be reached.
pub fn environments(command: &EnvironmentsCommand, service: &Service) -> Result<Exit, Failure> {
    let EnvironmentsCommand::Create { project, name, slug, json } = command;
    let call = Call::new("POST", format!("/api/projects/{project}/environments"));
    let answer = service.send(&call.with_body(json!({"name": name, "slug": slug})))?;
    let made = answer.read::<Data<OneEnvironment>>()?.data.environment;
    tell(*json, &answer, || format!("Environment {} ({}) is made.", made.id, plain(&made.slug)));
    Ok(Exit::Done)
}

fn tell(json: bool, answer: &Answer, words: impl FnOnce() -> String) {
    terminal::print(if json { plain_json(&answer.text) } else { words() });
}

fn show_keys(keys: &[Key]) {
    let mut shown = table::with(&["ID", "PROJECT", "USER", "NAME", "SCOPES", "MADE", "EXPIRES", "REVOKED"]);
    for key in keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
        let at = |at: Option<estop::time::Timestamp>| at.map_or_else(|| table::maybe(None), table::moment);
        shown.add_row([
            table::text(key.id.to_string()),
            table::text(key.project_id.to_string()),
            table::text(&key.user),
            table::text(&key.name),
            table::text(scopes.join(", ")),
            table::moment(key.created_at),
            at(key.expires_at),
            at(key.revoked_at),
        ]);
    }
    table::print(&shown);
}

impl ScopeName {
    fn wire(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Cancel => "cancel",
            Self::Run => "run",
        }
    }
}
