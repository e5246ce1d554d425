//! Query strings: every parameter once, unless it may be repeated, and none that is not known.

use estop_protocol::limits::MAX_ID;
use estop_protocol::time::Timestamp;

use super::error::ApiError;

/// The most parameters that are read.
const MOST_PARAMETERS: usize = 32;

/// The parameters not yet read.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if a name is given twice, or there are too many.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        Self::read_with(query, &[])
    }

    /// The same, with the names that may be given more than once.
    ///
    /// # Errors
    /// As [`Parameters::read`].
    pub fn read_with(query: &str, repeatable: &[&str]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().take(MOST_PARAMETERS + 1).collect();
        if pairs.len() > MOST_PARAMETERS {
            return Err(ApiError::Invalid(format!("The query has more than {MOST_PARAMETERS} parameters.")));
        }
        for (i, (name, _)) in pairs.iter().enumerate() {
            if !repeatable.contains(&name.as_str()) && pairs.iter().take(i).any(|(other, _)| other == name) {
                return Err(invalid(name, "expected once"));
            }
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes a text.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is empty or too long.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        self.take(name).map(|text| bounded(name, text, 255)).transpose()
    }

    /// Takes every text of this name, in order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if one is empty or too long, or there are more than `most`.
    pub fn texts(&mut self, name: &str, most: usize) -> Result<Vec<String>, ApiError> {
        let mut texts = Vec::new();
        while let Some(text) = self.text(name)? {
            if texts.len() == most {
                return Err(invalid(name, &format!("expected at most {most} times")));
            }
            texts.push(text);
        }
        Ok(texts)
    }

    /// Takes what is named with this prefix: the rest of each name, and its value of at most `limit` characters.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if a rest or a value is empty or too long, or there are more than `most`.
    pub fn prefixed(&mut self, prefix: &str, most: usize, limit: usize) -> Result<Vec<(String, String)>, ApiError> {
        let mut found = Vec::new();
        while let Some(at) = self.0.iter().position(|(name, _)| name.starts_with(prefix)) {
            let (name, value) = self.0.remove(at);
            if found.len() == most {
                return Err(invalid(&name, &format!("expected at most {most} of its kind")));
            }
            let value = bounded(&name, value, limit)?;
            let rest = bounded(&name, name.strip_prefix(prefix).unwrap_or_default().to_owned(), 255)?;
            found.push((rest, value));
        }
        Ok(found)
    }

    /// Takes a moment, as RFC 3339 writes it.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is none.
    pub fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let expected = "expected a date and time like 2026-11-22T09:30:00Z";
        Timestamp::parse(&text).map(Some).ok_or_else(|| invalid(name, expected))
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

    /// Takes every known word of this name, each once.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if one is another.
    pub fn some_of(&mut self, name: &str, known: &[&'static str]) -> Result<Vec<&'static str>, ApiError> {
        let mut words = Vec::new();
        while let Some(word) = self.one_of(name, known)? {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Ok(words)
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

fn bounded(name: &str, text: String, limit: usize) -> Result<String, ApiError> {
    if text.is_empty() || text.chars().count() > limit {
        return Err(invalid(name, &format!("expected 1 to {limit} characters")));
    }
    Ok(text)
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
