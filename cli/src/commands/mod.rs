//! Every command but `estop run`: one request or two, and what it prints.

mod cancel;
mod completions;
mod environments;
mod keys;
mod list;
mod projects;
mod show;
mod wait;

pub use cancel::cancel;
pub use completions::completions;
pub use environments::environments;
pub use keys::keys;
pub use list::list;
pub use projects::projects;
pub use show::show;
pub use wait::wait;

use std::time::Duration;

use estop_protocol::envelope::CursorPagination;

use crate::service::Response;
use crate::terminal::{self, sanitize_json};

/// How long a request that is safe to repeat is retried while the service is unavailable.
const RETRY_FOR: Duration = Duration::from_secs(15);

/// The path with those parameters that have a value.
fn query<V: ToString>(path: &str, parameters: impl IntoIterator<Item = (&'static str, Option<V>)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, &value.to_string());
        }
    }
    match query.finish() {
        none if none.is_empty() => path.to_owned(),
        some => format!("{path}?{some}"),
    }
}

fn print_result(json: bool, response: &Response, sentence: impl FnOnce() -> String) {
    terminal::print(if json { sanitize_json(&response.text) } else { sentence() });
}

/// Prints the command that shows the next page, if there may be one.
fn print_next_page(command: &str, project: Option<i64>, pagination: &CursorPagination) {
    if let Some(before) = pagination.next_before {
        let project = project.map(|id| format!(" --project {id}")).unwrap_or_default();
        terminal::info(format!("next page: {command}{project} --before {before}"));
    }
}
