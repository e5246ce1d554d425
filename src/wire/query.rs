//! Query strings of the lists.

use crate::error::ApiError;
use crate::run::State;
use crate::sql::list::{Filter, WINDOW};
use crate::time::Timestamp;
use crate::wire::MAX_ID;

const DAY: i64 = 24 * 3600 * 1000;
const MOST_ENVIRONMENTS: usize = 20;
const MOST_PARAMETERS: usize = 16;

/// A page of runs that was asked for.
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
    /// Reads the query string of `GET /api/test-runs`.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which parameter and what was expected. An unknown name is one: a filter that is
    /// misspelt and ignored would list the wrong runs.
    pub fn parse(query: &str, now: Timestamp) -> Result<Self, ApiError> {
        let mut given = Parameters::read(query)?;
        let filter = Filter {
            id: given.number("id", 1, MAX_ID)?,
            branch: given.text("branch")?,
            state: given.one_of("state", &State::ALL.map(State::name))?,
            result: given.one_of("result", &["passed", "failed"])?.map(str::to_owned),
            environment_ids: given.ids("environment_ids")?,
            created_from: given.number("interval_in_days", 1, 36_500)?.map(|days| now.0 - days * DAY),
            before: given.number("before", 1, MAX_ID)?,
        };
        let page = given.number("page", 1, MAX_ID)?.unwrap_or(1);
        let per_page = given.number("per_page", 1, 100)?.unwrap_or(20);
        given.end("id, page, per_page, branch, state, result, environment_ids, interval_in_days, before")?;
        if filter.before.is_some() && page != 1 {
            return Err(invalid("page", "expected without `before`, which pages on by itself"));
        }
        Ok(Self { filter, page, per_page })
    }

    /// How many runs come before this page: past the window there are none to skip to.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.per_page).min(WINDOW)
    }
}

/// A page of keys that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct KeysQuery {
    /// Keys of this project only.
    pub project_id: Option<i64>,
    /// Keys with a smaller id than this.
    pub before: Option<i64>,
    /// 1 to 100.
    pub per_page: i64,
}

impl KeysQuery {
    /// Reads the query string of `GET /api/keys`.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which parameter and what was expected.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut given = Parameters::read(query)?;
        let query = Self {
            project_id: given.number("project_id", 1, MAX_ID)?,
            before: given.number("before", 1, MAX_ID)?,
            per_page: given.number("per_page", 1, 100)?.unwrap_or(50),
        };
        given.end("project_id, before, per_page")?;
        Ok(query)
    }
}

/// The parameters not yet read.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().take(MOST_PARAMETERS + 1).collect();
        if pairs.len() > MOST_PARAMETERS {
            return Err(ApiError::Invalid(format!("The query has more than {MOST_PARAMETERS} parameters.")));
        }
        for (i, (name, _)) in pairs.iter().enumerate() {
            if pairs.iter().take(i).any(|(other, _)| other == name) {
                return Err(invalid(name, "expected once"));
            }
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            Some(text) if text.is_empty() || text.chars().count() > 255 => {
                Err(invalid(name, "expected 1 to 255 characters"))
            }
            other => Ok(other),
        }
    }

    fn number(&mut self, name: &str, least: i64, most: i64) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match plain_number(&text) {
            Some(n) if (least..=most).contains(&n) => Ok(Some(n)),
            _ => Err(invalid(name, &format!("expected a whole number from {least} to {most}"))),
        }
    }

    fn ids(&mut self, name: &str) -> Result<Vec<i64>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(Vec::new()) };
        let ids: Option<Vec<i64>> = text.split(',').map(|id| plain_number(id).filter(|n| *n >= 1)).collect();
        match ids {
            Some(mut ids) if ids.len() <= MOST_ENVIRONMENTS => {
                ids.sort_unstable();
                ids.dedup();
                Ok(ids)
            }
            _ => {
                Err(invalid(name, &format!("expected 1 to {MOST_ENVIRONMENTS} ids with commas between them, like 1,2")))
            }
        }
    }

    fn one_of(&mut self, name: &str, known: &[&'static str]) -> Result<Option<&'static str>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match known.iter().find(|k| **k == text) {
            Some(known) => Ok(Some(known)),
            None => Err(invalid(name, &format!("expected one of {}", known.join(", ")))),
        }
    }

    fn end(self, known: &str) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(name, &format!("not known; expected one of {known}"))),
        }
    }
}

/// A decimal integer of digits alone, up to [`MAX_ID`].
fn plain_number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n <= MAX_ID)
}

fn invalid(name: &str, expected: &str) -> ApiError {
    ApiError::Invalid(format!("Query parameter `{name}`: {expected}."))
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
            result: Some("failed".into()),
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
    fn a_page_past_the_window_skips_no_further_than_the_window() {
        assert_eq!(parse("page=9007199254740991&per_page=100").map(|q| q.offset()), Ok(WINDOW));
    }
}
