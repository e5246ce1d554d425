//! `estop projects`, with the admin token.

use estop_protocol::concurrency::{Concurrency, LimitScope, SetConcurrencyRequest};
use estop_protocol::envelope::Data;
use estop_protocol::limits::PER_PAGE;
use estop_protocol::projects::{CreateProjectRequest, LimitedProject, OneProject, Project, ProjectList};

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
            let call = Call::new("POST", "/api/projects").with_body(&request).idempotent();
            let response = retry::send(service, &call, RETRY_FOR)?;
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
            let request = SetConcurrencyRequest { scope: *scope, behaviour: *behaviour };
            let call = Call::new("PUT", format!("/api/projects/{id}/concurrency")).with_body(&request);
            let response = retry::send(service, &call, RETRY_FOR)?;
            let LimitedProject { project, under_earlier_limit } = response.read::<Data<_>>()?.data;
            let Concurrency { scope, behaviour } = project.concurrency;
            super::print_result(*json, &response, || {
                let slug = sanitize(&project.slug);
                format!("Project {id} ({slug}): scope {}, behaviour {}.", scope.name(), behaviour.name())
            });
            if let Some(note) = earlier_limit_note(&under_earlier_limit) {
                terminal::info(note);
            }
        }
    }
    Ok(Exit::Done)
}

fn earlier_limit_note(runs: &[i64]) -> Option<String> {
    // The service names no more than a page.
    let or_more = if runs.len() as u64 >= PER_PAGE.unsigned_abs() { ", and perhaps more" } else { "" };
    let ids: Vec<String> = runs.iter().map(i64::to_string).collect();
    let (run, end) = if runs.len() == 1 { ("run", "it ends") } else { ("runs", "they end") };
    (!runs.is_empty()).then(|| {
        format!(
            "test {run} {}{or_more}: held by an earlier limit, and not counted by this one until {end}",
            ids.join(", ")
        )
    })
}

fn print_projects(projects: &[Project]) {
    let mut table = table::new(&["ID", "SLUG", "NAME", "REPOSITORY", "SCOPE", "BEHAVIOUR", "BUCKET"]);
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
            table::optional(project.bucket.as_deref()),
        ]);
    }
    table::print(&table);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_under_an_earlier_limit_are_named() {
        let tail = "held by an earlier limit, and not counted by this one until";
        assert_eq!(earlier_limit_note(&[]), None);
        assert_eq!(earlier_limit_note(&[7]), Some(format!("test run 7: {tail} it ends")));
        assert_eq!(earlier_limit_note(&[7, 9]), Some(format!("test runs 7, 9: {tail} they end")));
        let full: Vec<i64> = (1..=100).collect();
        assert!(earlier_limit_note(&full).is_some_and(|note| note.contains("99, 100, and perhaps more: held")));
    }
}
