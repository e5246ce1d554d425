//! Query strings: every parameter once, and none that is not known.

use estop_protocol::limits::MAX_ID;

use super::error::ApiError;

/// The most parameters that are read.
const MOST_PARAMETERS: usize = 16;

/// The parameters not yet read.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if a name is given twice, or there are too many.
    pub fn read(query: &str) -> Result<Self, ApiError> {
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

    /// Takes a text.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is empty or too long.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            Some(text) if text.is_empty() || text.chars().count() > 255 => {
                Err(invalid(name, "expected 1 to 255 characters"))
            }
            other => Ok(other),
        }
    }

    /// Takes a whole number.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is none from `least` to `most`.
    pub fn number(&mut self, name: &str, least: i64, most: i64) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match plain_number(&text) {
            Some(n) if (least..=most).contains(&n) => Ok(Some(n)),
            _ => Err(invalid(name, &format!("expected a whole number from {least} to {most}"))),
        }
    }

    /// Takes ids with commas between them, each once and in order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if one is none, or there are more than `most`.
    pub fn ids(&mut self, name: &str, most: usize) -> Result<Vec<i64>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(Vec::new()) };
        let ids: Option<Vec<i64>> = text.split(',').map(|id| plain_number(id).filter(|n| *n >= 1)).collect();
        match ids {
            Some(mut ids) if ids.len() <= most => {
                ids.sort_unstable();
                ids.dedup();
                Ok(ids)
            }
            _ => Err(invalid(name, &format!("expected 1 to {most} ids with commas between them, like 1,2"))),
        }
    }

    /// Takes one of the known words.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is another.
    pub fn one_of(&mut self, name: &str, known: &[&'static str]) -> Result<Option<&'static str>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match known.iter().find(|k| **k == text) {
            Some(known) => Ok(Some(known)),
            None => Err(invalid(name, &format!("expected one of {}", known.join(", ")))),
        }
    }

    /// Checks that nothing is left; `known` are the names that could have been there.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], naming one that is left.
    pub fn end(self, known: &str) -> Result<(), ApiError> {
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

/// The refusal of a parameter.
pub fn invalid(name: &str, expected: &str) -> ApiError {
    ApiError::Invalid(format!("Query parameter `{name}`: {expected}."))
}
