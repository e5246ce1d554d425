//! `estop environments`.

use estop_protocol::envelope::Data;
use estop_protocol::environments::{CreateEnvironmentRequest, Environment, EnvironmentList, OneEnvironment};

use super::{RETRY_FOR, query};
use crate::args::EnvironmentsCommand;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize, sanitize_json};

pub fn environments(command: &EnvironmentsCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        EnvironmentsCommand::Create { project, name, slug, json } => {
            let request = CreateEnvironmentRequest { name: name.clone(), slug: slug.clone() };
            let call = Call::new("POST", format!("/api/projects/{project}/environments")).with_body(&request);
            let response = retry::send(service, &call.idempotent(), RETRY_FOR)?;
            let environment = response.read::<Data<OneEnvironment>>()?.data.environment;
            super::print_result(*json, &response, || {
                format!("Environment {} ({}) is created.", environment.id, sanitize(&environment.slug))
            });
        }
        EnvironmentsCommand::List { project, before, json } => {
            let path = project.map_or_else(
                || "/api/environments".to_owned(),
                |project| format!("/api/projects/{project}/environments"),
            );
            let call = Call::new("GET", query(&path, [("before", *before)]));
            let response = retry::send(service, &call, RETRY_FOR)?;
            let list: EnvironmentList = response.read()?;
            if *json {
                terminal::print(sanitize_json(&response.text));
            } else {
                print_environments(&list.data.environments);
                super::print_next_page("estop environments list", *project, &list.pagination);
            }
        }
    }
    Ok(Exit::Done)
}

fn print_environments(environments: &[Environment]) {
    let mut table = table::new(&["ID", "SLUG", "NAME"]);
    for environment in environments {
        table.add_row([table::id(environment.id), table::text(&environment.slug), table::text(&environment.name)]);
    }
    table::print(&table);
}
