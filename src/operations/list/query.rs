//! What `GET /api/test-runs` is asked for.

use estop_protocol::limits::{MAX_ID, METADATA_NAMES, PER_PAGE, TAGS};
use estop_protocol::run::{Cause, RunResult, State, StopOutcome};
use estop_protocol::time::Timestamp;
use serde_json::Number;

use super::statement::Filter;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::query::{Parameters, invalid};

const DAY: i64 = 24 * 3600 * 1000;
/// The most environments in one filter.
const ENVIRONMENTS: usize = 20;
/// The longest value of a metadata filter, in characters: as long as one can be.
const VALUE_CHARS: usize = 1024;

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

/// The names that it may be asked for.
const KNOWN: &str = "id, page, per_page, branch, state, result, environment, environment_ids, actor, tag, metadata.NAME, \
                     cancelled_by, cause, stop, created_from, created_to, interval_in_days, before";

impl RunsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which parameter and what was expected. An unknown name is one: a filter that is
    /// misspelt and ignored would list the wrong runs.
    pub fn parse(query: &str, now: Timestamp) -> Result<Self, ApiError> {
        let mut given = Parameters::read_with(query, &["state", "environment", "tag"])?;
        let interval = given.number("interval_in_days", 1, 36_500)?.map(|days| now.0 - days * DAY);
        let metadata = given.prefixed("metadata.", METADATA_NAMES, VALUE_CHARS)?;
        let filter = Filter {
            id: given.number("id", 1, MAX_ID)?,
            branch: given.text("branch")?,
            states: given.some_of("state", &names(State::ALL, State::name))?,
            result: given.one_of("result", &names(RunResult::ALL, RunResult::name))?,
            environments: given.texts("environment", ENVIRONMENTS)?,
            environment_ids: given.ids("environment_ids", ENVIRONMENTS)?,
            actor: given.text("actor")?,
            tags: given.texts("tag", TAGS)?.iter().map(member).collect(),
            metadata: metadata.into_iter().map(named).collect(),
            cancelled_by: given.text("cancelled_by")?,
            cause: given.one_of("cause", &names(Cause::ALL, Cause::name))?,
            stop: given.one_of("stop", &names(StopOutcome::ALL, StopOutcome::name))?,
            created_from: given.moment("created_from")?.map(|at| at.0).max(interval),
            created_to: given.moment("created_to")?.map(|at| at.0),
            before: given.number("before", 1, MAX_ID)?,
        };
        let page = given.number("page", 1, MAX_ID)?.unwrap_or(1);
        let per_page = given.number("per_page", 1, PER_PAGE)?.unwrap_or(20);
        given.end(KNOWN)?;
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

fn names<W: Copy>(words: &[W], name: impl Fn(W) -> &'static str) -> Vec<&'static str> {
    words.iter().map(|word| name(*word)).collect()
}

/// A tag as it stands in the array of them that is stored, between commas.
fn member(tag: &String) -> String {
    format!(",{},", json(tag))
}

/// A name with its value as they stand in the object that is stored, between commas: with a text and, if the value can be
/// one, with a number.
fn named((name, value): (String, String)) -> (String, Option<String>) {
    let name = json(&name);
    let number = serde_json::from_str::<Number>(&value).ok().map(|number| format!(",{name}:{},", json(&number)));
    (format!(",{name}:{},", json(&value)), number)
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
        let query = "id=7&page=3&per_page=100&branch=feat%2Fx+y&state=ended&state=error&state=ended&result=failed\
                     &environment=staging&environment=eu&environment_ids=3,1,3&actor=ada&tag=e2e&tag=%22x%22\
                     &metadata.ci=7.50&metadata.a.b=c&cancelled_by=bob&cause=fail_fast&stop=lost&interval_in_days=2\
                     &created_from=1970-01-01T00:00:00Z&created_to=1970-01-10T01:00:00%2B01:00";
        let expected = Filter {
            id: Some(7),
            branch: Some("feat/x y".into()),
            states: vec!["ended", "error"],
            result: Some("failed"),
            environments: vec!["staging".into(), "eu".into()],
            environment_ids: vec![1, 3],
            actor: Some("ada".into()),
            tags: vec![r#","e2e","#.into(), r#","\"x\"","#.into()],
            metadata: vec![(r#","ci":"7.50","#.into(), Some(r#","ci":7.5,"#.into())), (r#","a.b":"c","#.into(), None)],
            cancelled_by: Some("bob".into()),
            cause: Some("fail_fast"),
            stop: Some("lost"),
            // The later of the two.
            created_from: Some(8 * DAY),
            created_to: Some(9 * DAY),
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
            "branch=a&branch=b",
            "cause=whim",
            "stop=gone",
            "tag=",
            "metadata.=x",
            "metadata.x=",
            "metadata.x=1&metadata.x=2",
            "environment=",
            "created_from=yesterday",
            "created_to=2026-11-22",
            "actor=",
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
