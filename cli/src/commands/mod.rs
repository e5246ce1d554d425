//! Every command but `estop run`: one request or two, and what it prints.

mod admin;
mod cancel;
mod cancels;
mod completions;
mod environments;
mod export;
mod finish;
mod keys;
mod kill;
mod list;
mod open;
mod people;
mod projects;
mod restore;
mod self_check;
mod show;
mod stats;
mod wait;
mod watch;
mod webhooks;

pub use admin::admin;
pub use cancel::cancel;
pub use cancels::cancels;
pub use completions::completions;
pub use environments::environments;
pub use export::export;
pub use finish::finish;
pub use keys::keys;
pub use kill::kill;
pub use list::list;
pub use open::open;
pub use people::people;
pub use projects::projects;
pub use restore::restore;
pub use self_check::self_check;
pub use show::show;
pub use stats::stats;
pub use wait::wait;
pub use watch::watch;
pub use webhooks::webhooks;

use std::time::Duration;

use estop_protocol::envelope::CursorPagination;
use estop_protocol::show::Cancel;

use crate::exit::Exit;
use crate::service::{Failure, Response};
use crate::terminal::{self, sanitize_json};

/// How long a request that is safe to repeat is retried while the service is unavailable.
const RETRY_FOR: Duration = Duration::from_secs(15);

/// The path with those parameters that have a value.
fn query<N: AsRef<str>, V: ToString>(path: &str, parameters: impl IntoIterator<Item = (N, Option<V>)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name.as_ref(), &value.to_string());
        }
    }
    match query.finish() {
        none if none.is_empty() => path.to_owned(),
        some => format!("{path}?{some}"),
    }
}

/// Who stopped a run and, if a reason was given, why.
fn who_and_why(cancel: &Cancel) -> String {
    cancel.reason.as_ref().map_or_else(|| cancel.by.clone(), |reason| format!("{}: {reason}", cancel.by))
}

fn print_result(json: bool, response: &Response, sentence: impl FnOnce() -> String) {
    terminal::print(if json { sanitize_json(&response.text) } else { sentence() });
}

/// What became of a request that the service decides with a message: 200 if it is done, 412 if it is too late.
fn decision(response: &Response) -> Result<(Exit, String), Failure> {
    let exit = match response.status {
        200 => Exit::Done,
        412 => Exit::AlreadyOver,
        _ => return Err(response.refusal()),
    };
    Ok((exit, response.message().ok_or_else(|| response.refusal())?))
}

fn print_decision(json: bool, response: &Response) -> Result<Exit, Failure> {
    let (exit, message) = decision(response)?;
    match (json, exit) {
        (true, _) => terminal::print(sanitize_json(&response.text)),
        (false, Exit::Done) => terminal::print(message),
        (false, _) => terminal::error(message),
    }
    Ok(exit)
}

/// Prints the command that shows the next page, if there may be one.
fn print_next_page(command: &str, project: Option<i64>, pagination: &CursorPagination) {
    if let Some(before) = pagination.next_before {
        let project = project.map(|id| format!(" --project {id}")).unwrap_or_default();
        terminal::info(format!("next page: {command}{project} --before {before}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_done_or_too_late_and_anything_else_is_refused() {
        let decided = |status, text: &str| {
            decision(&Response::of(status, text)).map_err(|failure| (failure.exit, failure.message))
        };
        assert_eq!(decided(200, r#"{"message":"Done."}"#), Ok((Exit::Done, "Done.".to_owned())));
        assert_eq!(decided(412, r#"{"message":"Over."}"#), Ok((Exit::AlreadyOver, "Over.".to_owned())));
        let missing = r#"{"data":null,"error":{"message":"No such run."}}"#;
        assert_eq!(decided(404, missing), Err((Exit::Refused, "No such run. Check the id.".to_owned())));
        for (status, text) in [(200, "<html>"), (412, "<html>"), (403, "")] {
            assert!(decided(status, text).is_err_and(|(exit, _)| exit == Exit::Refused), "{status} {text}");
        }
    }
}
