//! `estop environments`.

use estop_protocol::envelope::Data;
use estop_protocol::environments::{CreateEnvironmentRequest, OneEnvironment};

use crate::args::EnvironmentsCommand;
use crate::exit::Exit;
use crate::service::{Call, Failure, Service};
use crate::terminal::sanitize;

pub fn environments(command: &EnvironmentsCommand, service: &Service) -> Result<Exit, Failure> {
    let EnvironmentsCommand::Create { project, name, slug, json } = command;
    let request = CreateEnvironmentRequest { name: name.clone(), slug: slug.clone() };
    let call = Call::new("POST", format!("/api/projects/{project}/environments")).with_body(&request);
    let response = service.send(&call)?;
    let environment = response.read::<Data<OneEnvironment>>()?.data.environment;
    super::print_result(*json, &response, || {
        format!("Environment {} ({}) is created.", environment.id, sanitize(&environment.slug))
    });
    Ok(Exit::Done)
}
