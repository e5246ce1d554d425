//! The OpenAPI document: current, complete, and true to the contract.

use std::collections::BTreeSet;

use estop::api::{OPENAPI, ROUTES};
use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("JSON")
}

/// The public contract, to the letter as the existing clients have it.
fn contract() -> Value {
    serde_norway::from_str(include_str!("../contract/cancel.openapi.yaml")).expect("YAML")
}

#[test]
fn the_committed_document_is_current() {
    assert!(
        document() == estop::openapi::document(),
        "openapi.json is not what the Rust types say: run `make openapi`"
    );
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let served: BTreeSet<String> = ROUTES.iter().map(|(_, _, route)| route.name().replace(":id", "{id}")).collect();
    let document = document();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("an item").keys().map(move |m| format!("{} {path}", m.to_uppercase()))
        })
        .collect();
    assert_eq!(served, described);
}

/// Follows a reference.
fn resolved<'a>(value: &'a Value, root: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

/// Checks that all that `theirs` says stands in `ours`, wordings aside. Ours may say more: another response, a header.
fn contains(ours: &Value, theirs: &Value, roots: (&Value, &Value), path: &str) {
    let (ours, theirs) = (resolved(ours, roots.0), resolved(theirs, roots.1));
    match theirs {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "description" && *name != "summary") {
                let path = format!("{path}/{name}");
                assert!(!ours[name].is_null() || value.is_null(), "{path} is missing");
                contains(&ours[name], value, roots, &path);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                let path = format!("{path}/{i}");
                let twin = ours
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|o| **o == *item || (!item["name"].is_null() && o["name"] == item["name"]));
                contains(twin.unwrap_or_else(|| panic!("{path} is missing")), item, roots, &path);
            }
        }
        _ => assert_eq!(ours, theirs, "{path}"),
    }
}

#[test]
fn the_cancel_route_is_the_contracts() {
    let (ours, theirs) = (document(), contract());
    let cancel = &theirs["paths"]["/api/test-runs/{id}/cancel"];
    assert!(cancel.is_object());
    contains(&ours["paths"]["/api/test-runs/{id}/cancel"], cancel, (&ours, &theirs), "cancel");
    for name in ["CancelTestRunRequest", "CancelTestRunResponse", "CancelTestRunFailureResponse", "ErrorResponse"] {
        let schemas = |root: &Value| root["components"]["schemas"][name].clone();
        contains(&schemas(&ours), &schemas(&theirs), (&ours, &theirs), name);
        let names = |schema: Value| -> BTreeSet<String> {
            schema["properties"].as_object().expect("properties").keys().cloned().collect()
        };
        assert_eq!(names(schemas(&ours)), names(schemas(&theirs)), "{name} has the contract's fields and no other");
        assert_eq!(schemas(&ours)["required"], schemas(&theirs)["required"], "{name}");
    }
    let bearer = |root: &Value| root["components"]["securitySchemes"]["Bearer"]["scheme"].clone();
    assert_eq!(bearer(&ours), bearer(&theirs));
}
