//! What operations share that name an environment or list some.

use estop_protocol::environments::{Environment, EnvironmentList, Environments};
use estop_protocol::limits::PER_PAGE;

use super::page::Page;
use crate::http::error::ApiError;
use crate::http::query::Parameters;
use crate::http::request::Call;

/// The page of environments that a request asks for.
pub(super) fn page(call: &Call<'_>) -> Result<Page, ApiError> {
    let mut given = Parameters::read(call.request.query)?;
    let page = Page::take(&mut given, PER_PAGE)?;
    given.end("before, per_page")?;
    Ok(page)
}

pub(super) fn list(page: Page, environments: Vec<Environment>) -> EnvironmentList {
    let pagination = page.pagination(environments.iter().map(|environment| environment.id));
    EnvironmentList { data: Environments { environments }, pagination }
}

/// The 400 for an environment that the project does not have.
pub(super) fn unknown_environment(field: &str, asked: &str, known: &[String]) -> ApiError {
    ApiError::Invalid(if known.is_empty() {
        format!("Field `{field}`: there is no `{asked}`, nor any other environment in this project yet.")
    } else {
        format!("Field `{field}`: there is no `{asked}` in this project; known are {}.", known.join(", "))
    })
}
