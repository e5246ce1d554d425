//! `GET /api/badges/projects/{project}/environments/{environment}`: how an environment's tests stand, as an image for a README, or
//! as JSON for shields.io if `.json` follows. It needs no key, so it tells nothing of what has no badge: an unknown name and a
//! project without badges look the same.

mod svg;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::http::json;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::{Parameters, invalid};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::operations::directory;
use crate::runtime::{Sql, Statement, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/badges/projects/:project/environments/:environment",
    access: Access::Open(|call| Box::pin(answer(call))),
};

const BADGE: Sql = sql!("badge/badge.sql");

/// The longest label, in characters.
const LABEL_CHARS: usize = 40;

/// The format of shields.io's endpoint badges.
#[derive(Serialize)]
struct Shield<'a> {
    #[serde(rename = "schemaVersion")]
    schema_version: i64,
    label: &'a str,
    message: &'a str,
    color: &'a str,
}

async fn answer(call: &Call<'_>) -> Outcome {
    let mut given = Parameters::read(call.request.query)?;
    let (branch, label) = (given.text("branch")?, given.text("label")?);
    given.end("branch, label")?;
    let label = label.as_deref().unwrap_or("tests");
    if label.chars().count() > LABEL_CHARS || label.chars().any(char::is_control) {
        let expected = format!("expected 1 to {LABEL_CHARS} characters, no control characters among them");
        return Err(invalid("label", &expected));
    }
    // It costs a round trip and needs no credential.
    call.count_against_address().await;
    let (project, environment) = call.request.slugs;
    let (slug, is_json) = environment.strip_suffix(".json").map_or((environment, false), |slug| (slug, true));
    directory::go_to_slug(call, project).await?;
    let params = vec![project.into(), slug.into(), branch.as_deref().into()];
    call.may_lag();
    let found: Option<Option<String>> = call.batch(vec![Statement::new(BADGE, params)]).await?.first(0)?;
    let (message, color, hex) = match found.flatten().as_deref() {
        Some("passed") => ("passing", "brightgreen", "#2a7f3f"),
        Some("failed") => ("failing", "red", "#b3372f"),
        Some("error") => ("error", "orange", "#a85b0a"),
        _ => ("unknown", "lightgrey", "#6b6f76"),
    };
    let (body, content_type) = if is_json {
        (json(&Shield { schema_version: 1, label, message, color }), "application/json")
    } else {
        (svg::badge(label, message, hex), "image/svg+xml")
    };
    let digest = Sha256::digest(body.as_bytes());
    let tag = format!("\"{}\"", base16ct::lower::encode_string(digest.get(..8).unwrap_or_default()));
    let known = call.request.if_none_match.is_some_and(|tags| matches(tags, &tag));
    let reply = if known { Reply::text(304, "unchanged", String::new()) } else { Reply::text(200, "shown", body) };
    let headers = vec![
        ("Content-Type", content_type.to_owned()),
        ("Cache-Control", "public, max-age=60".to_owned()),
        ("ETag", tag),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    Ok(Reply { headers, ..reply })
}

/// Whether a header `If-None-Match` names this tag, weakly compared (RFC 9110 section 13.1.2).
fn matches(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_compared_weakly_and_whole() {
        for good in ["\"a\"", "W/\"a\"", "\"b\", W/\"a\"", "*"] {
            assert!(matches(good, "\"a\""), "{good}");
        }
        for bad in ["", "a", "\"ab\"", "W/a", "\"b\""] {
            assert!(!matches(bad, "\"a\""), "{bad}");
        }
    }
}
