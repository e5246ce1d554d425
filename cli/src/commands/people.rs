//! `estop people`, with the admin token.

use estop_protocol::envelope::Data;
use estop_protocol::keys::OneKey;
use estop_protocol::people::AdmitRequest;
use estop_protocol::whole::Whole;

use super::RETRY_FOR;
use super::keys::print_keys;
use crate::args::PeopleCommand;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::terminal::{self, sanitize_json};

pub fn people(command: &PeopleCommand, service: &Service) -> Result<Exit, Failure> {
    let PeopleCommand::Add { address, project, scopes, expires_at, json } = command;
    let request = AdmitRequest {
        project_id: Whole(*project),
        address: address.clone(),
        scopes: scopes.clone(),
        expires_at: expires_at.clone(),
    };
    let call = Call::new("POST", "/api/people").with_body(&request).idempotent();
    let response = retry::send(service, &call, RETRY_FOR)?;
    let OneKey { key } = response.read::<Data<OneKey>>()?.data;
    if *json {
        terminal::print(sanitize_json(&response.text));
    } else {
        print_keys(&[key]);
        terminal::info(format!("they sign in at {}/session/access?project={project}", service.address()));
    }
    Ok(Exit::Done)
}
