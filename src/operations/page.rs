//! The pages of lists that are ordered by id alone: `before` and `per_page`, newest first.

use estop_protocol::envelope::CursorPagination;
use estop_protocol::limits::{MAX_ID, PER_PAGE};

use crate::http::error::ApiError;
use crate::http::query::Parameters;

/// A page that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Items with a smaller id than this.
    pub before: i64,
    /// How many at most.
    pub per_page: i64,
}

impl Page {
    /// Takes `before` and `per_page` from a query.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which parameter and what was expected.
    pub fn take(parameters: &mut Parameters, default_per_page: i64) -> Result<Self, ApiError> {
        Ok(Self {
            before: parameters.number("before", 1, MAX_ID)?.unwrap_or(MAX_ID),
            per_page: parameters.number("per_page", 1, PER_PAGE)?.unwrap_or(default_per_page),
        })
    }

    /// Reads a query that asks for a page and nothing else.
    ///
    /// # Errors
    /// As [`Page::take`], and for any other parameter.
    pub fn of(query: &str) -> Result<Self, ApiError> {
        let mut given = Parameters::read(query)?;
        let page = Self::take(&mut given, PER_PAGE)?;
        given.end("before, per_page")?;
        Ok(page)
    }

    /// Where the page lies, by the ids on it.
    pub fn pagination(self, ids: impl ExactSizeIterator<Item = i64>) -> CursorPagination {
        let full = i64::try_from(ids.len()) == Ok(self.per_page);
        CursorPagination { per_page: self.per_page, next_before: ids.last().filter(|_| full) }
    }
}
