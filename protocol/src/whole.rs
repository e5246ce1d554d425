//! Whole numbers of a request. `3.0` and `3e0` are the number 3 to JSON Schema, and so to whoever reads our document;
//! serde takes digits alone.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Number;

/// A whole number, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(CheckedNumber(whole)).map(Self)
    }
}

/// Reads a whole number as a `u32`, for serde's `deserialize_with`.
///
/// # Errors
/// If it is not whole, negative, or past 32 bits.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_i64(CheckedNumber(|number| {
        let number = whole(number)?;
        u32::try_from(number).map_err(|_| format!("invalid value: `{number}`, expected 0 to {}", u32::MAX))
    }))
}

/// Reads a whole number as a `u32` if there is one, for serde's `deserialize_with`.
///
/// # Errors
/// As [`count`].
pub fn optional_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    struct Count(u32);
    impl<'de> Deserialize<'de> for Count {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            count(deserializer).map(Self)
        }
    }
    Ok(Option::<Count>::deserialize(deserializer)?.map(|Count(number)| number))
}

fn whole(number: &Number) -> Result<i64, String> {
    number
        .as_i64()
        .or_else(|| exact(number.as_f64()?))
        .ok_or_else(|| format!("invalid value: `{number}`, expected a whole number"))
}

/// Checks a number while it is parsed, so that serde_json reports its position.
struct CheckedNumber<T>(fn(&Number) -> Result<T, String>);

impl<T> Visitor<'_> for CheckedNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        (self.0)(&number.into()).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.0)(&number.into()).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("not a JSON number"))?;
        (self.0)(&number).map_err(E::custom)
    }
}

/// Past this a fraction may be lost in reading: serde_json gives up the last bit or two of a double.
const MOST: f64 = (1_i64 << 50) as f64;

/// The integer that this is, if it is surely the one that was written and not its neighbour.
fn exact(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small enough")]
    (number.fract() == 0.0 && number.abs() < MOST).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn read(json: &str) -> Option<i64> {
        serde_json::from_str::<Whole>(json).ok().map(|whole| whole.0)
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point_or_an_exponent() {
        for (json, number) in [
            ("3", 3),
            ("3.0", 3),
            ("3e0", 3),
            ("-2.50e1", -25),
            ("0.0", 0),
            ("9007199254740991", 9_007_199_254_740_991),
        ] {
            assert_eq!(read(json), Some(number), "{json}");
        }
    }

    #[test]
    fn what_is_not_whole_or_not_exact_is_none() {
        for json in
            ["3.5", "1e300", "9007199254740991.0", "1e16", "18446744073709551615", "\"3\"", "null", "true", "[3]"]
        {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn a_count_is_not_negative_and_not_past_32_bits() {
        #[derive(Debug, Deserialize)]
        struct Counted(#[serde(deserialize_with = "count")] u32);
        assert_eq!(serde_json::from_str::<Counted>("4294967295.0").ok().map(|c| c.0), Some(u32::MAX));
        for json in ["-1", "4294967296", "1.5"] {
            assert!(serde_json::from_str::<Counted>(json).is_err(), "{json}");
        }
    }
}
