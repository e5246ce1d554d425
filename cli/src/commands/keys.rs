//! `estop keys`, with the admin token.

use estop_protocol::envelope::Data;
use estop_protocol::keys::{CreateKeyRequest, Key, KeyList, NewKey, OneKey};
use estop_protocol::whole::Whole;

use super::{RETRY_FOR, query};
use crate::args::KeysCommand;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize, sanitize_json};

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
            let call = Call::new("POST", "/api/keys").with_body(&request).idempotent();
            let response = retry::send(service, &call, RETRY_FOR)?;
            let created = response.read::<Data<NewKey>>()?.data;
            if *json {
                terminal::print(sanitize_json(&response.text));
            } else if *token_only {
                terminal::print(sanitize(&created.token));
            } else {
                print_keys(&[created.key]);
                terminal::print(format!("\n{}", sanitize(&created.token)));
                terminal::info("this is the key. It cannot be shown again: store it with your other secrets");
            }
        }
        KeysCommand::List { project, before, json } => {
            let path = query("/api/keys", [("project_id", *project), ("before", *before)]);
            let response = retry::send(service, &Call::new("GET", path), RETRY_FOR)?;
            let list: KeyList = response.read()?;
            if *json {
                terminal::print(sanitize_json(&response.text));
            } else {
                print_keys(&list.data.keys);
                super::print_next_page("estop keys list", *project, &list.pagination);
            }
        }
        KeysCommand::Revoke { id, json } => {
            let response = retry::send(service, &Call::new("DELETE", format!("/api/keys/{id}")), RETRY_FOR)?;
            let key = response.read::<Data<OneKey>>()?.data.key;
            super::print_result(*json, &response, || {
                format!("Key {} ({}, {}) is revoked.", key.id, sanitize(&key.user), sanitize(&key.name))
            });
        }
    }
    Ok(Exit::Done)
}

pub fn print_keys(keys: &[Key]) {
    let mut table =
        table::new(&["ID", "PROJECT", "USER", "NAME", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "REVOKED"]);
    for key in keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
        table.add_row([
            table::id(key.id),
            table::id(key.project_id),
            table::text(&key.user),
            table::text(&key.name),
            table::text(scopes.join(", ")),
            table::time(key.created_at),
            table::text(key.last_used_on.as_deref().unwrap_or("never")),
            table::optional_time(key.expires_at),
            table::optional_time(key.revoked_at),
        ]);
    }
    table::print(&table);
}
