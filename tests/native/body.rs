//! What is wrong with a body, and where: the words are what people fix their requests by.

use estop::http::body::parse;
use estop::http::error::ApiError;
use estop_protocol::bulk_cancel::BulkCancelRequest;
use estop_protocol::finish::FinishRequest;
use estop_protocol::keys::CreateKeyRequest;
use estop_protocol::register::RegisterRequest;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;

const JSON: Option<&str> = Some("application/json");

/// What a body that is no `T` is refused with.
fn fault<T: DeserializeOwned>(body: &str) -> String {
    match parse::<T>(JSON, body.as_bytes()) {
        Err(ApiError::Invalid(message)) => message,
        Err(other) => panic!("{other:?} for {body}"),
        Ok(_) => panic!("nothing is wrong with {body}"),
    }
}

#[test]
fn a_field_is_found_wherever_it_is() {
    for (body, message) in [
        ("{}", "The body is not as expected: missing field `environment`."),
        ("{\n}\n", "The body is not as expected: missing field `environment`."),
        (r#"{"environment":null}"#, "Field `environment`: invalid type: null, expected a string."),
        (r#"{"environment":7,"tags":[1]}"#, "Field `environment`: invalid type: integer `7`, expected a string."),
        (r#"{"environment" : 7 }"#, "Field `environment`: invalid type: integer `7`, expected a string."),
        (
            r#"{"environment":-1.5e3}"#,
            "Field `environment`: invalid type: floating point `-1500.0`, expected a string.",
        ),
        (r#"{"environment":[]}"#, "Field `environment`: invalid type: sequence, expected a string."),
        (r#"{"environment":["a"]}"#, "Field `environment`: invalid type: sequence, expected a string."),
        (r#"{"environment":{}}"#, "Field `environment`: invalid type: map, expected a string."),
        (r#"{"\u0065nvironment":false}"#, "Field `environment`: invalid type: boolean `false`, expected a string."),
        (
            r#"{"environment":"e","protected":"yes"}"#,
            r#"Field `protected`: invalid type: string "yes", expected a boolean."#,
        ),
        (
            r#"{"environment":"e","protected":0.1}"#,
            "Field `protected`: invalid type: floating point `0.1`, expected a boolean.",
        ),
        (r#"{"environment":"e","tags":"a"}"#, r#"Field `tags`: invalid type: string "a", expected a sequence."#),
        (r#"{"environment":"e","tags":{"0":"a"}}"#, "Field `tags`: invalid type: map, expected a sequence."),
        (r#"{"environment":"e","tags":["a",1]}"#, "Field `tags[1]`: invalid type: integer `1`, expected a string."),
        (r#"{"environment":"e","tags":[ [] , "a"]}"#, "Field `tags[0]`: invalid type: sequence, expected a string."),
        (r#"{"environment":"e","tags":["a","b",{"c":[1]}]}"#, "Field `tags[2]`: invalid type: map, expected a string."),
        (
            r#"{"environment":"e","build":"main"}"#,
            r#"Field `build`: invalid type: string "main", expected struct Build."#,
        ),
        (
            r#"{"environment":"e","build":{"url":1}}"#,
            "Field `build.url`: invalid type: integer `1`, expected a string.",
        ),
        (
            r#"{"environment":"e","build":{"ur\u006C":[1,{"x":2}]}}"#,
            "Field `build.url`: invalid type: sequence, expected a string.",
        ),
        (r#"{"environment":"e","build":["u",2]}"#, "Field `build[1]`: invalid type: integer `2`, expected a string."),
        (r#"{"environment":"e","build":["a","b","c","d","e",["f"]]}"#, "Field `build`: trailing characters."),
        (r#"{"environment":"e","metadata":[1]}"#, "Field `metadata`: invalid type: sequence, expected a map."),
        (
            r#"{"environment":"e","metadata":{"a":{"b":[1,2]}},"branch":1}"#,
            "Field `branch`: invalid type: integer `1`, expected a string.",
        ),
        (
            r#"{"environment":"e","total_shards":"3"}"#,
            r#"Field `total_shards`: invalid type: string "3", expected a JSON number."#,
        ),
        (
            r#"{"environment":"e","total_shards":3.5}"#,
            "Field `total_shards`: invalid value: `3.5`, expected a whole number.",
        ),
        (
            r#"{"environment":"e","total_shards":3.5 , "branch":"b"}"#,
            "Field `total_shards`: invalid value: `3.5`, expected a whole number.",
        ),
        (
            r#"{"environment":"e","total_shards":18446744073709551615}"#,
            "Field `total_shards`: invalid value: `18446744073709551615`, expected a whole number.",
        ),
        (
            r#"{"environment":"e","total_shards":-18446744073709551615}"#,
            "Field `total_shards`: invalid value: `-1.8446744073709552e+19`, expected a whole number.",
        ),
        (
            r#"{"environment":"e","total_shards":1e40}"#,
            "Field `total_shards`: invalid value: `1e+40`, expected a whole number.",
        ),
        (r#"{"total_shards":3.5}"#, "Field `total_shards`: invalid value: `3.5`, expected a whole number."),
        // What comes before does not count: nesting, escapes, lines, characters of several bytes.
        (
            r#"{"metadata":{"environment":1,"y":["}",{"z":"\\\"]"}]},"branch":2}"#,
            "Field `branch`: invalid type: integer `2`, expected a string.",
        ),
        (
            "{\r\n\t\"metadata\": {\"x\": [1,\n 2]},\r\n\t\"branch\":\r\n\ttrue\r\n}",
            "Field `branch`: invalid type: boolean `true`, expected a string.",
        ),
        (
            "{\"metadata\":{\"größe\":\"✋🛑\",\n\"ключ\":{}},\"branch\":\n[\"é\"]}",
            "Field `branch`: invalid type: sequence, expected a string.",
        ),
    ] {
        assert_eq!(fault::<RegisterRequest>(body), message, "{body}");
    }
    for (body, message) in [
        (r#"{"lease":"l"}"#, "The body is not as expected: missing field `state`."),
        (r#"{"lease":"l","state":7}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state": -1.5}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state":null,"counts":[]}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state":["ended"]}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state":[{"a":1}]}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state":"over"}"#, "Field `state`: unknown variant `over`, expected `ended` or `error`."),
        (
            r#"{"lease":"l","state":"\u006fver","result":1}"#,
            "Field `state`: unknown variant `over`, expected `ended` or `error`.",
        ),
        (r#"{"lease":"l","state":{}}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state":{"over":1}}"#, "Field `state`: unknown variant `over`, expected `ended` or `error`."),
        (r#"{"lease":"l","state":{"ended":1}}"#, "Field `state.ended`: invalid type: integer `1`, expected unit."),
        (r#"{"lease":"l","state":{"ended":[1]}}"#, "Field `state.ended`: invalid type: sequence, expected unit."),
        (r#"{"lease":"l","state":{"ended":null,"error":null}}"#, "Field `state`: expected value."),
        (r#"{"lease":"l","state":"ended","result":true}"#, "Field `result`: expected value."),
        (
            r#"{"lease":"l","state":"ended","counts":{"total":1.5}}"#,
            "Field `counts.total`: invalid value: `1.5`, expected a whole number.",
        ),
        (
            r#"{"lease":"l","state":"ended","counts":{"total":1.5,"flaky":0}}"#,
            "Field `counts.total`: invalid value: `1.5`, expected a whole number.",
        ),
        (
            r#"{"lease":"l","state":"ended","counts":{"total":1,"flaky":-1 } }"#,
            "Field `counts.flaky`: invalid value: `-1`, expected 0 to 4294967295.",
        ),
        (
            r#"{"lease":"l","state":"ended","counts":{"total":4294967296}}"#,
            "Field `counts.total`: invalid value: `4294967296`, expected 0 to 4294967295.",
        ),
        (
            r#"{"lease":"l","state":"ended","counts":{"total":null}}"#,
            "Field `counts.total`: invalid type: null, expected a JSON number.",
        ),
        (
            r#"{"lease":"l","state":"ended","counts":{"total":[1]}}"#,
            "Field `counts.total`: invalid type: sequence, expected a JSON number.",
        ),
        (
            r#"{"lease":"l","state":"ended","counts":[1,2,"3"]}"#,
            r#"Field `counts[2]`: invalid type: string "3", expected a JSON number."#,
        ),
        (r#"{"lease":"l","state":"ended","counts":[1,2,3,4,5,6]}"#, "Field `counts`: trailing characters."),
        (r#"{"lease":"l","state":"ended","counts":[1,2,3,4,5,[6]]}"#, "Field `counts`: trailing characters."),
        (r#"{"lease":"l","state":"ended","stop":{}}"#, "Field `stop`: missing field `outcome`."),
        (
            r#"{"lease":"l","state":"ended","stop":[]}"#,
            "Field `stop`: invalid length 0, expected struct StopReport with 1 element.",
        ),
        (
            r#"{"lease":"l","state":"ended","stop":{"outcome":"slowly"}}"#,
            "Field `stop.outcome`: unknown variant `slowly`, expected one of `graceful`, `terminated`, `killed`.",
        ),
        (
            r#"{"lease":"l","stop":{"outcome":{"graceful":{}}}}"#,
            "Field `stop.outcome.graceful`: invalid type: map, expected unit.",
        ),
    ] {
        assert_eq!(fault::<FinishRequest>(body), message, "{body}");
    }
    for (body, message) in [
        (r#"{"ids":[1,2.0,3.5]}"#, "Field `ids[2]`: invalid value: `3.5`, expected a whole number."),
        (r#"{"ids":[1,"2",3]}"#, r#"Field `ids[1]`: invalid type: string "2", expected a JSON number."#),
        (
            r#"{"filter":{"state":"running","metadata":{}}}"#,
            "Field `filter.state`: unknown variant `running`, expected one of `pending`, `queued`, `started`, `ended`, `error`, `cancelled`.",
        ),
        (
            r#"{"filter":{"older_than_minutes":0.5}}"#,
            "Field `filter.older_than_minutes`: invalid value: `0.5`, expected a whole number.",
        ),
        (
            r#"{"filter":{"metadata":{"a":1},"branch":false}}"#,
            "Field `filter.branch`: invalid type: boolean `false`, expected a string.",
        ),
        (
            r#"{"filter":{"brnch":"main"}}"#,
            "Field `filter.brnch`: unknown field `brnch`, expected one of `environment`, `branch`, `state`, `older_than_minutes`, `metadata`.",
        ),
        (
            r#"{"ids":[1],"dryRun" : true}"#,
            "Field `dryRun`: unknown field `dryRun`, expected one of `ids`, `filter`, `reason`, `dry_run`, `limit`, `cursor`.",
        ),
    ] {
        assert_eq!(fault::<BulkCancelRequest>(body), message, "{body}");
    }
    for (body, message) in [
        (
            r#"{"project_id":1.5,"user":"u","name":"n","scopes":[]}"#,
            "Field `project_id`: invalid value: `1.5`, expected a whole number.",
        ),
        (
            r#"{"project_id":1,"user":"u","name":"n","scopes":["read","write"]}"#,
            "Field `scopes[1]`: unknown variant `write`, expected one of `read`, `cancel`, `run`.",
        ),
        (r#"{"project_id":1,"user":"u","name":"n","scopes":["read",3]}"#, "Field `scopes[1]`: expected value."),
        (r#"{"project_id":1,"user":"u","name":"n"}"#, "The body is not as expected: missing field `scopes`."),
    ] {
        assert_eq!(fault::<CreateKeyRequest>(body), message, "{body}");
    }
}

/// What `serde_path_to_error`, which follows every step of the reading, says of the same body.
fn followed<T: DeserializeOwned>(body: &str) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(body)).err()?;
    let text = error.inner().to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    Some(match error.path().to_string().as_str() {
        "." => format!("The body is not as expected: {what}."),
        path => format!("Field `{path}`: {what}."),
    })
}

fn as_followed<T: DeserializeOwned>(body: &str) -> Result<(), TestCaseError> {
    let found = parse::<T>(JSON, body.as_bytes()).err().map(|error| error.message(""));
    prop_assert_eq!(found, followed::<T>(body), "{}", body);
    Ok(())
}

/// Any JSON, with the names and values of requests in it.
fn json() -> impl Strategy<Value = String> {
    let leaf = select(
        &[
            r#""e""#,
            r#""ended""#,
            r#""graceful""#,
            r#""read""#,
            r#""\\\"]}""#,
            r#""é🛑\u00e9""#,
            "null",
            "true",
            "0",
            "7",
            "-12",
            "3.5",
            "3.0",
            "1e40",
            "18446744073709551615",
            "4294967296",
        ][..],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            (space(), vec(inner.clone(), 0..6))
                .prop_map(|(s, items)| format!("[{s}{}{s}]", items.join(&format!("{s},{s}")))),
            (space(), btree_map(name(), inner, 0..5)).prop_map(|(s, fields)| object(s, fields)),
        ]
    })
}

fn space() -> impl Strategy<Value = &'static str> {
    select(&["", "", " ", "\n", "\r\n\t"][..])
}

fn name() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "environment",
            "build",
            "url",
            "branch",
            "tags",
            "total_shards",
            "metadata",
            "protected",
            "lease",
            "state",
            "ended",
            "counts",
            "total",
            r"fl\u0061ky",
            "stop",
            "outcome",
            "graceful",
            "ids",
            "filter",
            "limit",
            "scopes",
            "project_id",
            "user",
            "name",
            r#"\"}é"#,
        ][..],
    )
}

fn object(space: &str, fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let fields: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("\"{name}\"{space}:{space}{value}")).collect();
    format!("{{{space}{}{space}}}", fields.join(&format!("{space},{space}")))
}

/// A body with what requests need, mostly, and anything else.
fn body() -> impl Strategy<Value = String> {
    let needed = [
        ("environment", r#""e""#),
        ("lease", r#""l""#),
        ("state", r#""ended""#),
        ("project_id", "1"),
        ("user", r#""u""#),
        ("name", r#""n""#),
        ("scopes", "[]"),
    ];
    (space(), vec(prop::bool::weighted(0.95), needed.len()), btree_map(name(), json(), 0..4)).prop_map(
        move |(space, given, mut fields)| {
            for ((name, value), given) in needed.into_iter().zip(given) {
                if given {
                    fields.entry(name).or_insert_with(|| value.to_owned());
                }
            }
            object(space, fields)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_fault_is_found_where_it_is(body in body()) {
        as_followed::<RegisterRequest>(&body)?;
        as_followed::<FinishRequest>(&body)?;
        as_followed::<BulkCancelRequest>(&body)?;
        as_followed::<CreateKeyRequest>(&body)?;
    }
}
