//! `estop projects`, with the admin token.

use estop_protocol::concurrency::{Concurrency, LimitScope};
use estop_protocol::envelope::Data;
use estop_protocol::projects::{CreateProjectRequest, OneProject, Project, ProjectList};

use super::{RETRY_FOR, query};
use crate::args::ProjectsCommand;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize, sanitize_json};

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
        ProjectsCommand::List { before, json } => {
            let call = Call::new("GET", query("/api/projects", [("before", *before)]));
            let response = retry::send(service, &call, RETRY_FOR)?;
            let list: ProjectList = response.read()?;
            if *json {
                terminal::print(sanitize_json(&response.text));
            } else {
                print_projects(&list.data.projects);
                super::print_next_page("estop projects list", None, &list.pagination);
            }
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

fn print_projects(projects: &[Project]) {
    let mut table = table::new(&["ID", "SLUG", "NAME", "REPOSITORY", "SCOPE", "BEHAVIOUR"]);
    for project in projects {
        let Concurrency { scope, behaviour } = project.concurrency;
        // Without a limit the behaviour means nothing.
        let behaviour = (scope != LimitScope::None).then_some(behaviour.name());
        table.add_row([
            table::id(project.id),
            table::text(&project.slug),
            table::text(&project.name),
            table::optional(project.repo_name.as_deref()),
            table::text(scope.name()),
            table::optional(behaviour),
        ]);
    }
    table::print(&table);
}
