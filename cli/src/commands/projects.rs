//! `estop projects`, with the admin token.

use estop_protocol::concurrency::Concurrency;
use estop_protocol::envelope::Data;
use estop_protocol::projects::{CreateProjectRequest, OneProject};

use crate::args::ProjectsCommand;
use crate::exit::Exit;
use crate::service::{Call, Failure, Service};
use crate::terminal::sanitize;

pub fn projects(command: &ProjectsCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        ProjectsCommand::Create { name, slug, repo, json } => {
            let request = CreateProjectRequest { name: name.clone(), slug: slug.clone(), repo_name: repo.clone() };
            let response = service.send(&Call::new("POST", "/api/projects").with_body(&request))?;
            let project = response.read::<Data<OneProject>>()?.data.project;
            super::print_result(*json, &response, || {
                format!("Project {} ({}) is created.", project.id, sanitize(&project.slug))
            });
        }
        ProjectsCommand::Limit { id, scope, behaviour, json } => {
            let request = Concurrency { scope: *scope, behaviour: *behaviour };
            let call = Call::new("PUT", format!("/api/projects/{id}/concurrency")).with_body(&request);
            let response = service.send(&call)?;
            let project = response.read::<Data<OneProject>>()?.data.project;
            let Concurrency { scope, behaviour } = project.concurrency;
            super::print_result(*json, &response, || {
                let slug = sanitize(&project.slug);
                format!("Project {id} ({slug}): scope {}, behaviour {}.", scope.name(), behaviour.name())
            });
        }
    }
    Ok(Exit::Done)
}
