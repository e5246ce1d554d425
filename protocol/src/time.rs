//! Time: milliseconds in the database and in Rust, ISO 8601 in JSON.
//!
//! Nothing here reads a clock: `now` is an argument everywhere.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The latest moment we accept or print: the end of the year 9999, where ISO 8601 stops having four-digit years.
const LATEST: i64 = 253_402_300_799_999;

/// A moment: whole milliseconds since 1970-01-01T00:00:00Z.
///
/// The database has it as a number, JSON as ISO 8601 with milliseconds and `Z`; both are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment `span` milliseconds later.
    pub fn plus(self, span: i64) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Milliseconds from `earlier` to this moment; negative if it came before.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads a date and time as RFC 3339 writes it, e.g. `2026-11-22T09:30:00Z`; `None` if it is not one, or lies
    /// before 1970 or after 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        (0..=LATEST).contains(&millis).then_some(Self(millis))
    }

    /// Reads an HTTP `Date`, e.g. `Sun, 22 Nov 2026 09:30:00 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        Some(Self(DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimestampVisitor)
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a date and time, or milliseconds since 1970")
    }

    fn visit_i64<E: Error>(self, millis: i64) -> Result<Timestamp, E> {
        Ok(Timestamp(millis))
    }

    fn visit_u64<E: Error>(self, millis: u64) -> Result<Timestamp, E> {
        i64::try_from(millis).map(Timestamp).map_err(|_| E::invalid_value(Unexpected::Unsigned(millis), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at: DateTime<Utc> = DateTime::from_timestamp_millis(self.0.clamp(0, LATEST)).unwrap_or_default();
        f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_iso_8601_with_milliseconds() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_795_340_000_999).to_string(), "2026-11-22T09:33:20.999Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp(i64::MIN).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 1, 999, 1_795_340_000_999, LATEST] {
            assert_eq!(Timestamp::parse(&Timestamp(millis).to_string()), Some(Timestamp(millis)));
        }
    }

    #[test]
    fn an_http_date_is_read() {
        let read = |text| Timestamp::parse_http_date(text).map(|at| at.to_string());
        assert_eq!(read("Sun, 22 Nov 2026 09:30:00 GMT").as_deref(), Some("2026-11-22T09:30:00.000Z"));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn the_databases_number_and_the_wires_text_are_the_same_moment() {
        for json in ["1795340000999", "\"2026-11-22T09:33:20.999Z\""] {
            assert_eq!(serde_json::from_str::<Timestamp>(json).ok(), Some(Timestamp(1_795_340_000_999)), "{json}");
        }
        assert!(serde_json::from_str::<Timestamp>("\"noon\"").is_err());
    }

    #[test]
    fn other_offsets_are_understood_and_other_texts_are_not() {
        assert_eq!(Timestamp::parse("1970-01-01T01:00:00+01:00"), Some(Timestamp(0)));
        for bad in ["", "tomorrow", "2026-11-22", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "1795340000999"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
