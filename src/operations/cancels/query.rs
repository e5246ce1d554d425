//! What `GET /api/cancels` is asked for.

use estop_protocol::limits::{MAX_ID, PER_PAGE};
use estop_protocol::run::Cause;

use crate::http::error::ApiError;
use crate::http::query::{Parameters, invalid};

/// A page of cancels. Times are ms.
#[derive(Debug, PartialEq, Eq)]
pub struct CancelsQuery {
    /// Cancels before this moment, and those at it of runs with a smaller id.
    pub before: (i64, i64),
    /// Cancels at or after this moment.
    pub from: i64,
    /// Cancels by this user.
    pub by: Option<String>,
    /// Cancels for this cause.
    pub cause: Option<&'static str>,
    /// Cancels of runs in the environment with this slug.
    pub environment: Option<String>,
    /// 1 to 100.
    pub per_page: i64,
}

impl CancelsQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which parameter and what was expected.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut given = Parameters::read(query)?;
        let causes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        let cursor = given.text("before")?.map_or(Ok((MAX_ID, MAX_ID)), |text| cursor(&text))?;
        let to = given.moment("to")?.map_or(MAX_ID, |to| to.0);
        let query = Self {
            before: cursor.min((to, 0)),
            from: given.moment("from")?.map_or(0, |from| from.0),
            by: given.text("by")?,
            cause: given.one_of("cause", &causes)?,
            environment: given.text("environment")?,
            per_page: given.number("per_page", 1, PER_PAGE)?.unwrap_or(20),
        };
        given.end("from, to, by, cause, environment, before, per_page")?;
        Ok(query)
    }
}

/// Reads a `next_before`: the moment of the last cancel of a page, and its run.
fn cursor(text: &str) -> Result<(i64, i64), ApiError> {
    let number = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| plain && (0..=MAX_ID).contains(n))
    };
    let read = text.split_once('-').and_then(|(at, id)| Some((number(at)?, number(id)?)));
    read.ok_or_else(|| invalid("before", "expected the `next_before` of an earlier answer, as it is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_end_counts() {
        let before = |query: &str| CancelsQuery::parse(query).map(|query| query.before);
        assert_eq!(before(""), Ok((MAX_ID, 0)));
        assert_eq!(before("to=1970-01-01T00:00:01Z"), Ok((1000, 0)));
        assert_eq!(before("to=1970-01-01T00:00:01Z&before=2000-7"), Ok((1000, 0)));
        assert_eq!(before("to=1970-01-01T00:00:01Z&before=900-7"), Ok((900, 7)));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (bad, name) in [
            ("before=7", "before"),
            ("before=-7", "before"),
            ("before=1-x", "before"),
            ("before=+1-7", "before"),
            ("before=1-99999999999999999999", "before"),
            ("from=yesterday", "from"),
            ("cause=whim", "cause"),
            ("per_page=0", "per_page"),
            ("whom=ada", "whom"),
            ("by=", "by"),
        ] {
            match CancelsQuery::parse(bad) {
                Err(ApiError::Invalid(message)) => assert!(message.contains(&format!("`{name}`")), "{bad}: {message}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }
}
