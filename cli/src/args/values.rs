//! Values that several commands take: ids, spans of time, the protocol's names, `NAME=VALUE` pairs.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, RangedI64ValueParser, TypedValueParser};
use estop_protocol::limits;
use estop_protocol::time::Timestamp;
use serde_json::{Number, Value};

use crate::clock;

pub fn id() -> RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=limits::MAX_ID)
}

/// Reads a span of time: a whole number of seconds or, with a unit, of `s`, `m` or `h`.
pub fn span(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let with_unit = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected seconds, or a unit such as in 90s, 2m or 1h".to_owned())
}

/// Accepts the names of these values, which are an enum's of the protocol, and lists them in the help.
pub fn one_of<T>(
    values: impl IntoIterator<Item = &'static T>,
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let values: Vec<T> = values.into_iter().copied().collect();
    PossibleValuesParser::new(values.iter().map(|value| name(*value)))
        .try_map(move |given| values.iter().copied().find(|value| name(*value) == given).ok_or("unknown name"))
}

/// A moment as a person says it: of a day (UTC), so long ago, or in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        moment(text, clock::date()).map(Self).ok_or_else(|| {
            "expected today, yesterday, a time ago as in 90m, 12h or 7d, a day as in 2026-11-30, or a moment as in \
             2026-11-30T09:30:00Z"
                .to_owned()
        })
    }
}

impl Moment {
    /// The moment.
    pub fn at(self) -> Timestamp {
        self.0
    }
}

/// As the service reads it.
impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;
    let midnight = now.0 - now.0.rem_euclid(DAY);
    let ago = |unit: char, ms: i64| {
        let number: i64 = text.strip_suffix(unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        Some(Timestamp(now.0.checked_sub(number.checked_mul(ms)?)?.max(0)))
    };
    match text {
        "today" => Some(Timestamp(midnight)),
        "yesterday" => Some(Timestamp(midnight - DAY)),
        _ => ago('m', MINUTE)
            .or_else(|| ago('h', 60 * MINUTE))
            .or_else(|| ago('d', DAY))
            .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
            .or_else(|| Timestamp::parse(text)),
    }
}

/// Reads a `NAME=VALUE` whose value is taken as it is.
pub fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// An `I/N` of `--shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `total`.
    pub number: i64,
    /// At most [`limits::SHARDS`].
    pub total: i64,
}

impl Shard {
    /// A run that is not divided.
    pub const ONLY: Self = Self { number: 1, total: 1 };

    /// `None` if there is no such shard.
    pub fn new(number: i64, total: i64) -> Option<Self> {
        ((1..=limits::SHARDS).contains(&total) && (1..=total).contains(&number)).then_some(Self { number, total })
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(number, total)| Some((number.parse().ok()?, total.parse().ok()?)));
        numbers
            .and_then(|(number, total)| Self::new(number, total))
            .ok_or_else(|| format!("expected I/N, like 2/4, with N at most {}", limits::SHARDS))
    }
}

/// A `NAME=VALUE` of `--metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEntry {
    pub name: String,
    /// A string or a number.
    pub value: Value,
}

impl FromStr for MetadataEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        name_and_value(text).map(|(name, value)| Self { name, value: number_or_text(&value) })
    }
}

/// A number if it is written the way JSON would print it and every JSON reader holds it exactly, else text: a commit
/// `12e4` and a build `007` must not become numbers.
pub fn number_or_text(value: &str) -> Value {
    let exact = |n: &Number| n.as_i64().map_or(n.is_f64(), |n| n.unsigned_abs() <= limits::MAX_ID.unsigned_abs());
    match value.parse::<Number>() {
        Ok(number) if number.to_string() == value && exact(&number) => Value::Number(number),
        _ => Value::String(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_stay_numbers_and_look_alikes_stay_text() {
        for (text, value) in [
            ("7", json!(7)),
            ("-3", json!(-3)),
            ("1.5", json!(1.5)),
            ("9007199254740991", json!(9_007_199_254_740_991_i64)),
        ] {
            assert_eq!(number_or_text(text), value, "{text}");
        }
        for text in
            ["", "007", "12e4", "1.", "+1", "NaN", " 7", "0x1", "9007199254740992", "123456789012345678901", "1.10"]
        {
            assert_eq!(number_or_text(text), json!(text), "{text}");
        }
    }

    #[test]
    fn a_span_is_in_seconds_unless_it_says_otherwise() {
        for (text, seconds) in [("0", 0), ("60", 60), ("60s", 60), ("2m", 120), ("1h", 3600)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "-1", "1.5", "1m30s", "2 m", "2M", "1d", "18446744073709551615h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_said_in_several_ways() {
        let at = |text: &str| Timestamp::parse(text).expect("a moment");
        let now = at("2026-11-30T09:30:00Z");
        for (text, expected) in [
            ("today", "2026-11-30T00:00:00Z"),
            ("yesterday", "2026-11-29T00:00:00Z"),
            ("90m", "2026-11-30T08:00:00Z"),
            ("12h", "2026-11-29T21:30:00Z"),
            ("7d", "2026-11-23T09:30:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T10:00:00+01:00", "2026-11-01T09:00:00Z"),
            ("99999999999d", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Some(at(expected)), "{text}");
        }
        for text in ["", "d", "-1d", "1.5h", "tomorrow", "2026-13-01", "7", "7w", "99999999999999999999d"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }

    #[test]
    fn a_shard_is_one_of_its_total() {
        assert_eq!("2/4".parse(), Ok(Shard { number: 2, total: 4 }));
        assert_eq!("1/1".parse(), Ok(Shard::ONLY));
        for text in ["", "2", "0/4", "5/4", "-1/4", "1/1001", "a/b", "1/2/3", "1 / 2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_is_a_name_and_a_value() {
        let read = |text: &str| text.parse::<MetadataEntry>().map(|entry| (entry.name, entry.value));
        assert_eq!(read("a=b=c"), Ok(("a".to_owned(), json!("b=c"))));
        assert_eq!(read("a="), Ok(("a".to_owned(), json!(""))));
        assert!(read("a").is_err() && read("=b").is_err() && read("").is_err());
    }
}
