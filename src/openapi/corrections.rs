//! What the document must say and utoipa cannot, or says otherwise.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::wire::MAX_ID;

/// A text of one line with something on it, as [`crate::wire::requests`] takes it.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Makes the document true.
pub(super) fn apply(document: &mut Value) {
    refer_to_the_data(document);
    let sent = sent(document);
    require_what_is_always_there(document, &sent);
    add_rules_between_fields(document);
    for name in &sent {
        let properties = document.pointer_mut(&format!("/components/schemas/{name}/properties"));
        properties.and_then(Value::as_object_mut).into_iter().flat_map(|fields| fields.values_mut()).for_each(one_line);
    }
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        leave_out_instead_of_null(operation);
        too_large_is_a_body(operation);
    }
}

/// utoipa writes the data of an envelope out once more instead of referring to its schema.
fn refer_to_the_data(document: &mut Value) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        if let Some(data) = name.strip_prefix("Data_") {
            schema["properties"]["data"] = json!({"$ref": format!("#/components/schemas/{data}")});
        }
    }
}

/// Which fields go together, and the limits of what a list holds.
fn add_rules_between_fields(document: &mut Value) {
    let nothing = || json!({"type": "null"});
    let id = json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID});
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let mut add = |name: &str, field: &str, value: Value| {
        if let Some(place) = document.pointer_mut(&format!("/components/schemas/{name}")) {
            place[field] = value;
        }
    };
    add("RegisterTestRunRequest/properties/tags", "items", json!({"type": "string", "minLength": 1, "maxLength": 255}));
    add("BulkCancelRequest/properties/ids", "items", id);
    add(
        "RegisterTestRunRequest",
        "not",
        json!({"required": ["branch", "build"], "properties": {"branch": {"type": "string"}, "build": {"type": "object"}}}),
    );
    add("BulkFilter", "minProperties", json!(1));
    add(
        "BulkFilter/properties",
        "state",
        json!({"description": "Their state.", "enum": ["pending", "queued", "started", null]}),
    );
    add(
        "BulkCancelRequest",
        "anyOf",
        json!([
            {"required": ["ids"], "properties": {"ids": {"type": "array"}, "filter": nothing(), "limit": nothing()}},
            {"required": ["filter"], "properties": {"filter": schema("BulkFilter"), "ids": nothing()}},
        ]),
    );
    add(
        "FinishTestRunRequest",
        "anyOf",
        json!([
            {"required": ["result"], "properties": {"state": {"const": "ended"}, "result": schema("RunResult"), "error_code": nothing()}},
            {"required": ["error_code"], "properties": {"state": {"const": "error"}, "error_code": schema("ErrorCode"), "result": nothing()}},
        ]),
    );
}

/// A text of a request with a least length is a line, unless it is something narrower.
fn one_line(field: &mut Value) {
    let place = if field["items"].is_object() { &mut field["items"] } else { field };
    let narrower = ["pattern", "format"].iter().any(|name| place[*name].is_string());
    if place["minLength"].is_number() && !narrower {
        place["pattern"] = json!(LINE);
    }
}

/// Only where a body is read can it be too large.
fn too_large_is_a_body(operation: &mut Value) {
    if operation.get("requestBody").is_none()
        && let Some(responses) = operation["responses"].as_object_mut()
    {
        responses.remove("413");
    }
}

/// An optional parameter or body is one that may be left out. utoipa says that it may be null, which it may not.
fn leave_out_instead_of_null(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    for schema in parameters.map(|parameter| &mut parameter["schema"]) {
        if let Some(named) = schema["type"].as_array().and_then(|types| types.iter().find(|t| *t != "null")).cloned() {
            schema["type"] = named;
        }
        if let Some(named) =
            schema["oneOf"].as_array().and_then(|any| any.iter().find(|s| s["$ref"].is_string())).cloned()
        {
            *schema = json!({"$ref": named["$ref"]});
        }
    }
    let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema") else { return };
    let Some(body) = schema["oneOf"].as_array().and_then(|any| any.iter().find(|s| s["$ref"].is_string())).cloned()
    else {
        return;
    };
    *schema = json!({"$ref": body["$ref"]});
    operation["requestBody"]["required"] = json!(false);
}

/// The schemas that a request can hold.
fn sent(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let paths = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    for operation in paths.filter_map(Value::as_object).flat_map(|path| path.values()) {
        reachable(&operation["requestBody"], document, &mut found);
    }
    found
}

/// Which of a type's fields are always there cannot be read off `Option`: an answer writes null where it has nothing.
/// So in every schema that only answers use, all fields are required.
fn require_what_is_always_there(document: &mut Value, sent: &BTreeSet<String>) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten().filter(|(name, _)| !sent.contains(*name)) {
        let names: Vec<String> =
            schema["properties"].as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default();
        if !names.is_empty() && name != "Build" {
            schema["required"] = json!(names);
        }
    }
}

/// The names of the schemas that `part` of the document refers to, directly or not.
fn reachable(part: &Value, document: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
            if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                reachable(&document["components"]["schemas"][name], document, found);
            }
            fields.values().for_each(|value| reachable(value, document, found));
        }
        Value::Array(items) => items.iter().for_each(|item| reachable(item, document, found)),
        _ => {}
    }
}
