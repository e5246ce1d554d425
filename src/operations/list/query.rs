//! What `GET /api/test-runs` is asked for.

use estop_protocol::limits::{MAX_ID, PER_PAGE};
use estop_protocol::run::{RunResult, State};
use estop_protocol::time::Timestamp;

use super::statement::Filter;
use crate::http::error::ApiError;
use crate::http::query::{Parameters, invalid};

const DAY: i64 = 24 * 3600 * 1000;
/// The most environments in one filter.
const ENVIRONMENTS: usize = 20;

/// A page of runs.
#[derive(Debug, PartialEq, Eq)]
pub struct RunsQuery {
    /// What the list is narrowed to.
    pub filter: Filter,
    /// From 1.
    pub page: i64,
    /// 1 to 100.
    pub per_page: i64,
}

impl RunsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which parameter and what was expected. An unknown name is one: a filter that is
    /// misspelt and ignored would list the wrong runs.
    pub fn parse(query: &str, now: Timestamp) -> Result<Self, ApiError> {
        let mut given = Parameters::read(query)?;
        let names = |states: &[State]| states.iter().map(|state| state.name()).collect::<Vec<_>>();
        let filter = Filter {
            id: given.number("id", 1, MAX_ID)?,
            branch: given.text("branch")?,
            state: given.one_of("state", &names(State::ALL))?,
            result: given.one_of("result", &[RunResult::Passed.name(), RunResult::Failed.name()])?,
            environment_ids: given.ids("environment_ids", ENVIRONMENTS)?,
            created_from: given.number("interval_in_days", 1, 36_500)?.map(|days| now.0 - days * DAY),
            before: given.number("before", 1, MAX_ID)?,
        };
        let page = given.number("page", 1, MAX_ID)?.unwrap_or(1);
        let per_page = given.number("per_page", 1, PER_PAGE)?.unwrap_or(20);
        given.end("id, page, per_page, branch, state, result, environment_ids, interval_in_days, before")?;
        if filter.before.is_some() && page != 1 {
            return Err(invalid("page", "expected without `before`, which pages on by itself"));
        }
        Ok(Self { filter, page, per_page })
    }

    /// How many runs come before this page.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.per_page).min(MAX_ID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<RunsQuery, ApiError> {
        RunsQuery::parse(query, Timestamp(10 * DAY))
    }

    #[test]
    fn nothing_asked_is_the_first_twenty() {
        assert_eq!(parse(""), Ok(RunsQuery { filter: Filter::default(), page: 1, per_page: 20 }));
    }

    #[test]
    fn every_filter_is_read() {
        let query = "id=7&page=3&per_page=100&branch=feat%2Fx+y&state=ended&result=failed&environment_ids=3,1,3&interval_in_days=2";
        let expected = Filter {
            id: Some(7),
            branch: Some("feat/x y".into()),
            state: Some("ended"),
            result: Some("failed"),
            environment_ids: vec![1, 3],
            created_from: Some(8 * DAY),
            before: None,
        };
        let parsed = parse(query).expect("a query");
        assert_eq!((parsed.filter.clone(), parsed.page, parsed.per_page, parsed.offset()), (expected, 3, 100, 200));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for bad in [
            "page=0",
            "page=-1",
            "page=1.0",
            "page=",
            "page=x",
            "page=99999999999999999999",
            "per_page=0",
            "per_page=101",
            "state=running",
            "state=Ended",
            "result=ok",
            "environment_ids=",
            "environment_ids=1,",
            "environment_ids=0",
            "environment_ids=a",
            "interval_in_days=0",
            "before=0",
            "id=0",
            "branch=",
            "stat=ended",
            "page=1&page=2",
            "before=5&page=2",
        ] {
            let name = bad.split(['=', '&']).next().unwrap_or_default();
            let name = if bad.starts_with("before=5") { "page" } else { name };
            match parse(bad) {
                Err(ApiError::Invalid(message)) => assert!(message.contains(&format!("`{name}`")), "{bad}: {message}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_largest_page_still_has_an_offset() {
        assert_eq!(parse("page=9007199254740991&per_page=100").map(|q| q.offset()), Ok(MAX_ID));
    }
}
