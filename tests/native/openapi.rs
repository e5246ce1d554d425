//! The OpenAPI document: complete, and true to the contract.

use std::collections::BTreeSet;

use estop::http::operation::{Access, Operation};
use estop::operations::OPERATIONS;
use serde_json::Value;

use crate::contract::{DOCUMENT, resolved, template};

/// The public contract, to the letter as the existing clients have it.
fn contract() -> Value {
    serde_norway::from_str(include_str!("../contract/cancel.openapi.yaml")).expect("YAML")
}

#[test]
fn the_document_is_of_this_version() {
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_operation_is_described_and_nothing_else() {
    let name = |operation: &Operation| format!("{} {}", operation.method.name(), template(operation));
    let served: BTreeSet<String> = OPERATIONS.iter().map(name).collect();
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("an item").keys().map(move |m| format!("{} {path}", m.to_uppercase()))
        })
        .collect();
    assert_eq!(served, described);
}

fn described(operation: &Operation) -> &'static Value {
    &DOCUMENT["paths"][template(operation)][operation.method.name().to_lowercase()]
}

#[test]
fn the_document_says_who_may_call_what() {
    for operation in OPERATIONS {
        let described = described(operation);
        // Without a word of its own an operation has the document's: a key.
        let security = described.get("security").unwrap_or(&DOCUMENT["security"]).to_string();
        let expected = match operation.access {
            Access::Key(..) | Access::Session(_) => r#"[{"Bearer":[]},{"Session":[]}]"#,
            Access::Admin(_) => r#"[{"Admin":[]}]"#,
            Access::LeaseOrKey(..) => r#"[{"Lease":[]},{"Bearer":[]},{"Session":[]}]"#,
            Access::Open(_) | Access::Lease(_) | Access::GitHub(_) => "[{}]",
        };
        assert_eq!(security, expected, "{}", operation.name());
        if let Access::Key(scope, _) | Access::LeaseOrKey(_, scope, _) = operation.access {
            let description = described["description"].as_str().unwrap_or_default();
            assert!(description.contains(&format!("`{}`", scope.name())), "{} names no scope", operation.name());
        }
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
    let (ours, theirs) = (&*DOCUMENT, contract());
    let cancel = &theirs["paths"]["/api/test-runs/{id}/cancel"];
    assert!(cancel.is_object());
    contains(&ours["paths"]["/api/test-runs/{id}/cancel"], cancel, (ours, &theirs), "cancel");
    for name in ["CancelTestRunRequest", "CancelTestRunResponse", "CancelTestRunFailureResponse", "ErrorResponse"] {
        let schemas = |root: &Value| root["components"]["schemas"][name].clone();
        contains(&schemas(ours), &schemas(&theirs), (ours, &theirs), name);
        let names = |schema: Value| -> BTreeSet<String> {
            schema["properties"].as_object().expect("properties").keys().cloned().collect()
        };
        assert_eq!(names(schemas(ours)), names(schemas(&theirs)), "{name} has the contract's fields and no other");
        assert_eq!(schemas(ours)["required"], schemas(&theirs)["required"], "{name}");
    }
    let bearer = |root: &Value| root["components"]["securitySchemes"]["Bearer"]["scheme"].clone();
    assert_eq!(bearer(ours), bearer(&theirs));
}
