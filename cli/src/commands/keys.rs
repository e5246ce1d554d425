//! `estop keys`, with the admin token.

use estop_protocol::envelope::Data;
use estop_protocol::keys::{CreateKeyRequest, Key, KeyList, NewKey, OneKey};
use estop_protocol::time::Timestamp;
use estop_protocol::whole::Whole;

use super::{RETRY_FOR, query};
use crate::args::KeysCommand;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, plain, plain_json};

pub fn keys(command: &KeysCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        KeysCommand::Create { project, user, name, scopes, expires_at, token_only, json } => {
            let request = CreateKeyRequest {
                project_id: Whole(*project),
                user: user.clone(),
                name: name.clone(),
                scopes: scopes.clone(),
                expires_at: expires_at.clone(),
            };
            let answer = service.send(&Call::new("POST", "/api/keys").with_body(&request))?;
            let created = answer.read::<Data<NewKey>>()?.data;
            if *json {
                terminal::print(plain_json(&answer.text));
            } else if *token_only {
                terminal::print(plain(&created.token));
            } else {
                print_keys(&[created.key]);
                terminal::print(format!("\n{}", plain(&created.token)));
                terminal::say("this is the key. It cannot be shown again: store it with your other secrets");
            }
        }
        KeysCommand::List { project, before, json } => {
            let path = query("/api/keys", [("project_id", *project), ("before", *before)]);
            let answer = retry::send_patiently(service, &Call::new("GET", path), RETRY_FOR)?;
            let list: KeyList = answer.read()?;
            if *json {
                terminal::print(plain_json(&answer.text));
            } else {
                print_keys(&list.data.keys);
                super::print_next_page("estop keys list", list.pagination.next_before);
            }
        }
        KeysCommand::Revoke { id, json } => {
            let answer = retry::send_patiently(service, &Call::new("DELETE", format!("/api/keys/{id}")), RETRY_FOR)?;
            let key = answer.read::<Data<OneKey>>()?.data.key;
            super::print_result(*json, &answer, || {
                format!("Key {} ({}, {}) is revoked.", key.id, plain(&key.user), plain(&key.name))
            });
        }
    }
    Ok(Exit::Done)
}

fn print_keys(keys: &[Key]) {
    let mut table = table::with(&["ID", "PROJECT", "USER", "NAME", "SCOPES", "CREATED", "EXPIRES", "REVOKED"]);
    let optional = |at: Option<Timestamp>| at.map_or_else(|| table::maybe(None), table::moment);
    for key in keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
        table.add_row([
            table::text(key.id.to_string()),
            table::text(key.project_id.to_string()),
            table::text(&key.user),
            table::text(&key.name),
            table::text(scopes.join(", ")),
            table::moment(key.created_at),
            optional(key.expires_at),
            optional(key.revoked_at),
        ]);
    }
    table::print(&table);
}
