//! Reads a request's body: JSON, UTF-8, an object, no field given twice.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::ApiError;
use super::json_path;

/// Reads a body as a `T`. An empty body is an empty object.
///
/// # Errors
/// [`ApiError::Invalid`], saying which field and what was expected.
pub fn parse<T: DeserializeOwned>(content_type: Option<&str>, body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return typed("{}");
    }
    if !content_type.is_none_or(is_json) {
        return Err(invalid("A body must be sent with `Content-Type: application/json`."));
    }
    let text = std::str::from_utf8(body).map_err(|_| invalid("The body must be UTF-8."))?;
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(invalid("The body must be a JSON object."));
    }
    no_field_twice(text)?;
    typed(text)
}

/// Whether a `Content-Type` is JSON (RFC 8259 section 11), whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn invalid(message: &str) -> ApiError {
    ApiError::Invalid(message.to_owned())
}

fn typed<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|error| misread(text, &error))
}

/// Not generic: the reading of each `T` holds this once.
fn misread(text: &str, error: &serde_json::Error) -> ApiError {
    let what = expectation(error);
    let path = json_path::path(text, error);
    ApiError::Invalid(if path.is_empty() {
        format!("The body is not as expected: {what}.")
    } else {
        format!("Field `{path}`: {what}.")
    })
}

/// serde's complaint without the position, which means little to people.
fn expectation(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Refuses an object, at any depth, that names a field twice: serde would take one of them, and the sender cannot
/// know which (RFC 8259 section 4).
fn no_field_twice(text: &str) -> Result<(), ApiError> {
    let mut json = serde_json::Deserializer::from_str(text);
    Unique.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
        let what = expectation(&error);
        if error.is_data() {
            ApiError::Invalid(format!("{what}."))
        } else {
            ApiError::Invalid(format!("The body is not JSON: {what}."))
        }
    })
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Any other value is fine.
macro_rules! accept {
    ($($visit:ident: $type:ty),+) => { $(fn $visit<E>(self, _: $type) -> Result<(), E> { Ok(()) })+ };
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    accept!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Unique)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        // A map of metadata's type, which is in the Worker anyway.
        let mut seen = serde_json::Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            fields.next_value_seed(Unique)?;
            if seen.contains_key(&name) {
                return Err(A::Error::custom(format!("Field `{name}` is given twice")));
            }
            seen.insert(name, serde_json::Value::Null);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use estop_protocol::cancel::CancelRequest;

    const JSON: Option<&str> = Some("application/json");

    fn refusal(content_type: Option<&str>, body: &[u8]) -> String {
        match parse::<CancelRequest>(content_type, body) {
            Err(ApiError::Invalid(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_body_an_empty_object_and_unknown_fields_are_fine() {
        for body in ["", "{}", " {\n} ", r#"{"why":1}"#, r#"{"reason":"x","more":{"a":[1,null,{"b":true}]}}"#] {
            assert!(parse::<CancelRequest>(JSON, body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn the_refusal_says_which_field_and_what_was_expected() {
        assert_eq!(refusal(JSON, br#"{"reason":null}"#), "Field `reason`: invalid type: null, expected a string.");
        assert_eq!(refusal(JSON, br#"{"reason":7}"#), "Field `reason`: invalid type: integer `7`, expected a string.");
        assert_eq!(refusal(JSON, br#"{"reason":"a","reason":"b"}"#), "Field `reason` is given twice.");
        assert_eq!(refusal(JSON, br#"{"x":{"y":1,"y":2}}"#), "Field `y` is given twice.");
        assert_eq!(refusal(JSON, br#"{"a":1,"\u0061":2}"#), "Field `a` is given twice.");
        assert_eq!(refusal(JSON, b"{\"reason\":\"\xff\"}"), "The body must be UTF-8.");
        assert_eq!(refusal(JSON, b"{\"reason\":"), "The body is not JSON: EOF while parsing a value.");
        assert_eq!(refusal(JSON, b"{} {}"), "The body is not JSON: trailing characters.");
        for body in ["[]", "\"x\"", "null", "1", "  [{}]"] {
            assert_eq!(refusal(JSON, body.as_bytes()), "The body must be a JSON object.", "{body}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(refusal(JSON, deep.as_bytes()).starts_with("The body is not JSON: recursion limit exceeded"));
    }

    #[test]
    fn a_body_must_be_json_by_its_type_too() {
        for good in [None, Some("application/json"), Some("Application/JSON; charset=utf-8")] {
            assert!(parse::<CancelRequest>(good, b"{}").is_ok(), "{good:?}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "application/json-seq"]
        {
            assert!(refusal(Some(bad), b"{}").contains("Content-Type"), "{bad}");
            assert!(parse::<CancelRequest>(Some(bad), b"").is_ok(), "nothing to misread: {bad}");
        }
    }
}
